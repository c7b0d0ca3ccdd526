"""Scores per gauge, figures and the page: complete, honest about gaps, and safe against names that are markup."""

import sys

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from chase_jax.checks import InputError
from chase_jax.domain.domain import Domain
from chase_jax.domain.grid import Grid
from chase_jax.evaluation import figures, gauges, report

TIME = pd.date_range("2001-01-01", "2002-06-30")
NASTY = '<script>alert("$x^1$")</script> & söhne'


@pytest.fixture
def pair():
    """Three gauges: a good one, one with an ugly name, one never observed."""
    generator = np.random.default_rng(5)
    observed = generator.gamma(2.0, 5.0, (3, TIME.size))
    simulated = observed * generator.lognormal(0.0, 0.1, observed.shape)
    observed[1, 40:90] = np.nan
    observed[2] = np.nan
    coordinates = {"time": TIME, "gauge_id": ("gauge", np.array(["A", "../B<", "C"], object))}
    run = xr.Dataset({"discharge": (("gauge", "time"), simulated)}, coords=coordinates).assign_coords(
        gauge_name=("gauge", np.array(["Upper", NASTY, ""], object)),
        x=("gauge", [500.0, 1500.0, 2500.0]),
        y=("gauge", [500.0, 500.0, 1500.0]),
        upstream_area=("gauge", [1e6, 2e6, 1e6]),
    )
    return run, xr.Dataset({"discharge": (("gauge", "time"), observed)}, coords=coordinates)


@pytest.fixture
def domain():
    fields = {
        "active": np.ones((2, 3)),
        "surface_altitude": np.array([[30.0, 20.0, 12.0], [31.0, 21.0, 11.0]]),
        "flow_direction": np.array([[1, 1, 4], [1, 1, 0]]),
        "cell_area": np.full((2, 3), 1e6),
        "glacier_fraction": np.array([[0.5, 0, 0], [0, 0, 0]]),
    }
    axes = np.array([500.0, 1500.0, 2500.0]), np.array([1500.0, 500.0])
    return Domain.build(fields, Grid(*axes, pyproj.CRS("EPSG:3035").to_cf()))


def test_monthly_means_skip_days_without_observation():
    time = np.arange("2001-01-01", "2001-04-01", dtype="datetime64[D]")
    observed = np.ones((90, 1))
    simulated = np.arange(90.0)[:, None]
    observed[31:45] = np.nan  # half of February
    observed[60:62] = np.nan  # two days of March
    s, o, months = gauges.monthly_means(simulated, observed, time)
    np.testing.assert_array_equal(months, np.array(["2001-01", "2001-02", "2001-03"], "datetime64[M]"))
    np.testing.assert_array_equal(o[:, 0], [1, np.nan, 1])
    np.testing.assert_allclose(s[:, 0], [15.0, np.nan, np.mean([59, *range(62, 90)])])
    np.testing.assert_array_equal(np.isnan(gauges.monthly_means(simulated[:25], observed[:25], time[:25])[0]), False)


def test_skill_is_missing_where_nothing_is_observed(pair):
    run, seen = pair
    scores = gauges.skill(run.discharge.values.T, seen.discharge.values.T)
    np.testing.assert_array_equal(scores["count"], [TIME.size, TIME.size - 50, 0])
    assert (scores["kge"][:2] > 0.7).all()
    assert all(np.isnan(values[2]) for name, values in scores.items() if name != "count")


def test_flow_duration_falls_and_spans_all_time():
    share, flow = gauges.flow_duration(np.array([3.0, np.nan, 1.0, 2.0]))
    np.testing.assert_array_equal(flow, [3, 2, 1])
    np.testing.assert_allclose(share, [1 / 6, 3 / 6, 5 / 6])


def test_seasonal_cycle_averages_over_years():
    time = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    series = time.astype("datetime64[M]").astype(int) % 12 + 1.0
    np.testing.assert_allclose(gauges.seasonal_cycle(series, time), np.arange(1, 13))
    assert np.isnan(gauges.seasonal_cycle(series[:31], time[:31])[1:]).all()


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_report_is_complete_and_escapes_names(pair, domain, tmp_path):
    run, seen = pair
    level = xr.Dataset(
        {name: (("gauge", "time"), np.full((1, TIME.size), 700.0)) for name in ("simulated", "observed")},
        coords={"time": TIME, "gauge_id": ("gauge", np.array(["A"], object))},
    )
    page = report.evaluate(tmp_path / "run", run, seen, domain, level)
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    pictures = sorted(p.name for p in (tmp_path / "run" / "figures").iterdir())
    assert pictures == ["000_A.png", "001__B_.png", "002_C.png", "level_000_A.png", "network.png"]
    assert all(f'src="figures/{name}"' in text for name in pictures)
    table = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert len(table) == 6
    assert set(table.scale) == {"daily", "monthly"}
    daily = table[table.scale == "daily"].set_index("gauge_id")
    assert daily.kge["A"] > 0.7
    assert np.isnan(daily.kge["C"])
    assert daily.observed_mean["A"] == pytest.approx(float(seen.discharge[0].mean()), rel=1e-5)


@pytest.mark.parametrize("case", ["zero", "negative", "constant", "no observation", "two days"])
def test_hydrographs_of_odd_series_are_drawn(case, tmp_path):
    time = TIME.values[: 2 if case == "two days" else 400].astype("datetime64[D]")
    flow = np.linspace(0, 1, time.size)
    simulated = {"zero": 0 * flow, "negative": flow - 0.5, "constant": 0 * flow + 2}.get(case, flow)
    observed = np.full(time.size, np.nan) if case == "no observation" else flow
    figure = figures.hydrograph(time, simulated, observed, "a" * 200, {"NSE": 0.5})
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


@pytest.mark.filterwarnings("error::UserWarning")
def test_precipitation_hangs_above_the_flow_on_the_same_days(tmp_path):
    time = TIME.values[:60].astype("datetime64[D]")
    rain = np.repeat([np.nan, 3.0], 30)
    figure = figures.hydrograph(time, np.ones(60), np.ones(60), "A", {}, rain)
    figure.savefig(tmp_path / "figure.png")
    top, flow = figure.axes[:2]
    assert top.get_ylim()[0] > top.get_ylim()[1] == 0, "rain falls from the top"
    assert top.get_xlim() == flow.get_xlim()
    assert top.get_title(loc="left") == "A"
    assert "not known where grey" in top.texts[0].get_text()
    (grey,) = (area for area in top.collections if to_hex(area.get_facecolor()[0]) == figures.UNKNOWN.lower())
    days = np.concatenate([path.vertices[:, 0] for path in grey.get_paths()])
    first = time[0].astype(float)
    assert days.min() == first
    assert first + 29 <= days.max() <= first + 30
    dry = figures.hydrograph(time, np.ones(60), np.ones(60), "A", {}, np.full(60, np.nan))
    assert len(dry.axes) == len(figure.axes) - 1


def _curves(ax):
    """Values (x, y) of every line of a panel that has any finite one."""
    lines = [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in ax.lines]
    return [pair for pair in lines if np.isfinite(pair[1]).any()]


def _notes(ax):
    return [artist.txt.get_text() for artist in ax.artists]


def test_simulated_flow_below_all_observed_is_drawn_where_it_is():
    time = TIME.values[:100].astype("datetime64[D]")
    observed, simulated = np.linspace(5.0, 50.0, 100), np.linspace(0.1, 4.0, 100)
    figure = figures.hydrograph(time, simulated, observed, "A", {})
    duration, _, scatter = figure.axes[1:]
    np.testing.assert_allclose(_curves(duration)[1][1], simulated[::-1])
    np.testing.assert_allclose(_curves(scatter)[0], (observed, simulated))
    for ax, letter in ((duration, "y"), (scatter, "y"), (scatter, "x")):
        low, high = getattr(ax, f"get_{letter}lim")()
        assert low <= 0.1
        assert high >= 4.0
    assert _notes(duration) == _notes(scatter) == []


def test_flow_too_small_for_a_logarithmic_axis_is_marked():
    time = TIME.values[:100].astype("datetime64[D]")
    observed = np.linspace(5.0, 50.0, 100)
    simulated = np.where(np.arange(100) < 30, 0.0, observed)
    simulated[50] = 1e-9
    figure = figures.hydrograph(time, simulated, observed, "A", {})
    duration, _, scatter = figure.axes[1:]
    least = 50.0 * figures.LEAST_FLOW_SHARE
    np.testing.assert_allclose(_curves(duration)[2][1], np.full(31, least))
    assert _notes(duration) == ["dotted: below 0.005"]
    inside, low = _curves(scatter)[:2]
    assert (inside[0].size, low[0].size) == (69, 31)
    np.testing.assert_allclose(low[1], least)
    assert _notes(scatter) == ["open: below 0.005"]


def test_flow_that_runs_backward_is_inside_the_panels():
    time = TIME.values[:200].astype("datetime64[D]")
    for observed, simulated in ((-3.0, 1.0), (1.0, -3.0)):
        figure = figures.hydrograph(time, np.full(200, simulated), np.full(200, observed), "A", {})
        flow, _, season = figure.axes[:3]
        assert flow.get_ylim()[0] <= -3.0
        assert season.get_ylim()[0] <= -3.0


def test_labels_and_legends_are_clear_of_what_is_drawn():
    time = TIME.values[:365].astype("datetime64[D]")
    level = 700.0 + np.linspace(0.0, 1.0, 365)
    figure = figures.lake_level(time, level, level + 0.1, "A lake")
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1
    rain = np.where(np.arange(365) < 31, 9.0, 1.0)
    figure = figures.hydrograph(time, level - 699.0, level - 699.0, "A", {}, rain)
    figure.draw_without_rendering()
    top, flow = figure.axes[:2]
    (label,) = top.texts
    assert "monthly mean" in label.get_text()
    assert "grey" not in label.get_text()
    assert label.get_window_extent().y1 < top.transData.transform((0.0, 9.0))[1]
    assert label.get_window_extent().y0 >= top.get_window_extent().y0
    assert flow.get_legend().get_window_extent().y0 > flow.transData.transform((0.0, 2.0))[1]


def test_scores_below_the_range_of_colors_are_marked_in_its_bar(domain):
    place = np.array([500.0, 1500.0])
    figure = figures.network_map(domain, place, place[::-1], ["A", "B"], np.array([-3.0, 0.5]))
    bars = {ax.get_ylabel(): ax._colorbar for ax in figure.axes if hasattr(ax, "_colorbar")}
    assert bars["daily KGE"].extend == "min"


def test_lines_without_a_score_say_why(pair):
    run, seen = pair
    part = {"time": slice(10, 24)}
    table = report.score_table(run.isel(part), seen.isel(part))
    text = report.page("run", TIME.values[[10, 23]].astype("datetime64[D]"), table, [])
    assert text.count("no month is observed on 80 % of its days") == 3
    assert text.count("no day is observed") == 1
    table = report.score_table(run, seen)
    text = report.page("run", TIME.values.astype("datetime64[D]"), table, [])
    assert text.count("no month is observed on 80 % of its days") == 1
    part = {"time": slice(0, 90)}
    text = report.page("run", TIME.values[:90], report.score_table(run.isel(part), seen.isel(part)), [])
    assert "only 3 months are observed on 80 % of their days; a score needs 10" in text
    assert "only 1 month is observed on 80 % of its days; a score needs 10" in text
    dry = seen.isel(gauge=[0]) * 0.0
    text = report.page("run", TIME.values, report.score_table(run.isel(gauge=[0]), dry), [])
    assert "the observed flow is always the same" in text


def test_a_missing_matplotlib_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"Figures need matplotlib; install it with: pip install"):
        figures.hydrograph(TIME.values[:2], np.ones(2), np.ones(2), "A", {})
