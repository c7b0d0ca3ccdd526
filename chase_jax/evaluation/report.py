"""The report of a run: scores, figures and a page that shows both."""

from __future__ import annotations

import html
import pathlib
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.domain.domain import Domain
from chase_jax.evaluation import figures, gauges, metrics

TABLE, PAGE, FIGURES = "metrics.csv", "report.html", "figures"
SHOWN = {"nse": "NSE", "kge": "KGE", "correlation": "PCC", "pbias": "PBIAS %", "r1": "R1 %", "r10": "R10 %"}
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.25rem .7rem;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}
img{max-width:100%;margin:.5rem 0 1.5rem}h2{margin-top:2rem}"""


def evaluate(
    run_folder: pathlib.Path,
    simulated: xr.Dataset,
    observed: xr.Dataset,
    domain: Domain | None = None,
    levels: xr.Dataset | None = None,
    precipitation: np.ndarray | None = None,
) -> pathlib.Path:
    """Compare a run with observations and write metrics.csv, figures and report.html into its folder.

    Args:
        run_folder: The folder of the run.
        simulated: Content of gauges.nc: discharge (gauge, time), m3 s-1, with gauge_id, gauge_name, x, y and
            upstream_area.
        observed: discharge (gauge, time), m3 s-1, of the same gauges and days, NaN where missing.
        domain: The domain, for the map.
        levels: Simulated and observed levels (gauge, time), m, of the lakes that gauges stand in, if any.
        precipitation (time,): Precipitation over the domain, mm per day, to be drawn above the flow, if known.

    Returns:
        Path of the page.
    """
    folder = pathlib.Path(run_folder)
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    table = score_table(simulated, observed)
    _write(folder / TABLE, table.to_csv(index=False, float_format="%.6g"))
    time = simulated.time.values.astype("datetime64[D]")
    daily = table[table.scale == "daily"].set_index("gauge_id")
    sections = []
    if domain is not None:
        figure = figures.network_map(
            domain, simulated.x.values, simulated.y.values, list(daily.index), daily.kge.to_numpy()
        )
        sections.append(("Gauges", _save(figure, folder, "network"), "Map of the river network with its gauges"))
    for number, (identifier, scores) in enumerate(daily.iterrows()):
        title = " ".join(filter(None, (str(identifier), str(scores["name"]))))
        shown = {SHOWN[name].rstrip(" %"): float(scores[name]) for name in ("nse", "kge", "correlation", "pbias")}
        series = [data.discharge.isel(gauge=number).values for data in (simulated, observed)]
        shown = shown if np.isfinite(scores["kge"]) else {}
        figure = figures.hydrograph(time, *series, title, shown, precipitation)
        sections.append((title, _save(figure, folder, f"{number:03d}_{identifier}"), f"Hydrograph of {title}"))
    for number in range(levels.sizes["gauge"] if levels is not None else 0):
        here = levels.isel(gauge=number)  # type: ignore[union-attr]
        identifier = str(here.gauge_id.values)
        title = f"Lake level at {identifier}"
        days = here.time.values.astype("datetime64[D]")
        figure = figures.lake_level(days, here.simulated.values, here.observed.values, title)
        sections.append((title, _save(figure, folder, f"level_{number:03d}_{identifier}"), title))
    _write(folder / PAGE, page(folder.name, time, table, sections))
    return folder / PAGE


def score_table(simulated: xr.Dataset, observed: xr.Dataset) -> pd.DataFrame:
    """Scores of every gauge at daily and monthly scale, one line each.

    Args:
        simulated: Content of gauges.nc, see :func:`evaluate`.
        observed: Observed discharge of the same gauges and days.
    """
    time = simulated.time.values.astype("datetime64[D]")
    series = simulated.discharge.values.T, observed.discharge.values.T
    months = gauges.monthly_means(*series, time)
    year = time.astype("datetime64[Y]").astype(int) + 1970
    missing = [""] * simulated.sizes["gauge"]
    head = {
        "gauge_id": [str(value) for value in simulated.gauge_id.values],
        "name": [str(value) for value in simulated.get("gauge_name", xr.DataArray(missing)).values],
        "upstream_area_km2": simulated.upstream_area.values / 1e6,
    }
    parts = []
    for scale, pair in (("daily", series), ("monthly", months[:2])):
        part = pd.DataFrame({**head, "scale": scale, **gauges.skill(*pair)})
        part["annual_maximum_3_day"] = np.nan
        if scale == "daily":
            part["annual_maximum_3_day"] = np.asarray(metrics.annual_maximum_error(*series, year))
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def page(
    name: str, time: np.ndarray, table: pd.DataFrame, sections: Sequence[tuple[str, pathlib.PurePath, str]]
) -> str:
    """The page as HTML; every text that comes from a file is escaped.

    Args:
        name: Name of the run.
        time (time,): Days, datetime64.
        table: Result of :func:`score_table`.
        sections: Heading, image (relative to the page) and its description.
    """
    escape = html.escape
    heads = "".join(f"<th>{text}</th>" for text in ("gauge", "name", "scale", "values", *SHOWN.values()))
    lines = []
    for row in table.to_dict("records"):
        numbers = "".join(f"<td>{'' if np.isnan(row[key]) else format(row[key], '.2f')}</td>" for key in SHOWN)
        if all(np.isnan(row[key]) for key in SHOWN):
            numbers = f'<td colspan="{len(SHOWN)}">{_reason(row["scale"], row["count"])}</td>'
        texts = "".join(f"<td>{escape(str(row[key]))}</td>" for key in ("gauge_id", "name", "scale", "count"))
        lines.append(f"<tr>{texts}{numbers}</tr>")
    medians = []
    for scale in ("daily", "monthly"):
        part = table[table.scale == scale]
        if part.kge.notna().any():
            medians.append(f"{scale}: median KGE {part.kge.median():.2f}, median NSE {part.nse.median():.2f}")
    shown = "\n".join(
        f'<h2>{escape(title)}</h2><img src="{escape(image.as_posix(), quote=True)}" alt="{escape(text, quote=True)}">'
        for title, image, text in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Evaluation of {escape(name)}</title><style>{STYLE}</style></head>
<body><h1>Evaluation of {escape(name)}</h1>
<p>{time[0]} to {time[-1]}. {escape("; ".join(medians)) or "No gauge has observations in this period."}</p>
<p>NSE and KGE are best at 1; below 0 (NSE) or -0.41 (KGE) the observed mean would be the better guess. PBIAS is the
error of the total; R1 and R10 are the errors of the mean of the highest 1 % and 10 % of flows; positive is too
much. NSE, KGE and PCC are left out where the observed flow is always the same.</p>
<table><thead><tr>{heads}</tr></thead><tbody>
{chr(10).join(lines)}
</tbody></table>
{shown}
</body></html>
"""


def _reason(scale: str, count: int) -> str:
    """Why a line of the table has no score. Arguments: scale, of the line; count, values that are observed."""
    share = f"{100 * gauges.LEAST_SHARE_OF_MONTH:.0f} %"
    found = {"daily": "day is observed", "monthly": f"month is observed on {share} of its days"}[scale]
    few = {"daily": "days are observed", "monthly": f"months are observed on {share} of their days"}[scale]
    if count >= gauges.LEAST_COUNT:
        return "the observed flow is always the same"
    if count == 0:
        return f"no {found}"
    return f"only {count} {few if count > 1 else found}; a score needs {gauges.LEAST_COUNT}"


def _save(figure, folder: pathlib.Path, stem: str) -> pathlib.PurePosixPath:
    """Write a figure under a harmless file name; returns its path from the page."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:80]
    target = folder / FIGURES / f"{safe}.png"
    temporary = target.with_name(f".tmp-{target.name}")
    figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    temporary.replace(target)
    return pathlib.PurePosixPath(FIGURES) / target.name


def _write(path: pathlib.Path, text: str) -> None:
    """Write a text file under its final name only when complete."""
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
