import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.physics import seepage, soil_hydraulics

DAY = 86400.0


def flow(head, depth, conductance=1e-6, width=20.0, storage=5.0, dt=3600.0, coefficient=0.1, area=1e6, doubling=np.inf):
    """Seepage for the head of the aquifer above the bed at 3 m and the depth of the river, m; by default linear."""
    head, depth = jnp.atleast_1d(jnp.asarray(head)), jnp.atleast_1d(jnp.asarray(depth))
    wet = width * 1000.0
    return seepage.discharge(
        seepage.Parameters(jnp.array([conductance]), jnp.array([doubling])),
        jnp.array([storage]),
        jnp.atleast_1d(jnp.asarray(coefficient)),
        3.0 - head,
        jnp.array([3.0]),
        depth,
        depth * wet,
        jnp.array([wet]),
        jnp.array([area]),
        dt,
    )


def test_short_steps_give_the_law_of_darcy():
    assert float(flow(4.0, 1.0, dt=1.0)[0]) == pytest.approx(1e-6 * 2e4 * 3.0, rel=1e-4)
    losing = 1e-6 * 2e4 * -0.5 * (1.0 / 1.05)
    assert float(flow(0.5, 1.0, dt=1.0)[0]) == pytest.approx(losing, rel=1e-4)


def test_seepage_rises_with_the_aquifer_and_falls_with_the_river():
    rising = flow(jnp.linspace(-0.5, 5.0, 50), jnp.full(50, 1.0))
    assert bool(jnp.all(jnp.diff(rising) > 0.0))
    falling = flow(jnp.full(50, 2.0), jnp.linspace(0.0, 5.0, 50))
    assert bool(jnp.all(jnp.diff(falling) < 0.0))
    assert float(flow(1.0, 1.0)[0]) == pytest.approx(0.0, abs=1e-10)


def test_below_the_bed_the_aquifer_has_no_hold_on_the_river():
    deep = flow(jnp.array([-5.0, -50.0]), jnp.full(2, 1.0))
    np.testing.assert_allclose(deep[0], deep[1], rtol=1e-9)
    assert float(deep[0]) == pytest.approx(-1e-6 * 2e4 * 2.0 / 1.05, rel=5e-3)


def test_a_dry_channel_loses_nothing_but_gains():
    assert float(flow(-1.0, 0.0)[0]) == 0.0
    assert float(flow(1.0, 0.0)[0]) > 0.0


@pytest.mark.parametrize("volume", [0.0, 1e-308, 2.6e-304, 1e-100, 1e-29, 1e-10, 1e3])
def test_a_river_that_has_run_dry_does_not_amplify_what_it_has_less(volume):
    def after(volume, dt=3600.0, wet=2e4):
        lost = flow(-5.0, volume / wet, conductance=1e-4, dt=dt)[0]
        return volume + lost * dt

    kept = float(jax.grad(after)(volume))
    assert 0.0 <= kept <= 1.0
    assert 0.0 <= float(after(volume)) <= volume


@pytest.mark.parametrize("doubling", [np.inf, 0.045, 1e-4])
@pytest.mark.parametrize("dt", [3600.0, DAY, 3650 * DAY])
def test_no_step_takes_more_than_there_is_nor_overshoots(dt, doubling):
    head, depth = jnp.array([6.0, 6.0, -9.0, 0.2]), jnp.array([0.0, 1.0, 2.0, 0.3])
    for storage in (5.0, 1e-4, 0.0):
        moved = flow(head, depth, conductance=1e-3, storage=storage, dt=dt, doubling=doubling) * dt
        assert bool(jnp.all(moved <= storage * 1e6 * (1.0 + 1e-15)))
        assert bool(jnp.all(-moved <= depth * 2e4 * (1.0 + 1e-15)))
    moved = flow(head[1], depth[1], conductance=1e-3, dt=dt, doubling=doubling) * dt
    assert float(head[1] - moved[0] / 1e5) >= float(depth[1] + moved[0] / 2e4) - 1e-9


def test_an_impervious_bed_lets_nothing_through():
    assert float(flow(5.0, 1.0, conductance=0.0)[0]) == 0.0


def test_an_aquifer_conducts_the_better_the_fuller_it_is():
    """0.2 m of water above the stream double the conductance; what a river loses does not know it."""
    of = 1e-6 * 2e4
    given = {"dt": 1.0, "doubling": 0.2}
    assert float(flow(2.5, 0.5, **given)[0]) == pytest.approx(of * 2.0 * 2.0, rel=1e-3)
    assert float(flow(6.5, 0.5, **given)[0]) == pytest.approx(of * 6.0 * 4.0, rel=1e-3)
    assert float(flow(0.5, 1.0, **given)[0]) == float(flow(0.5, 1.0, dt=1.0)[0]) < 0.0
    rising = flow(jnp.linspace(-0.5, 5.0, 200), jnp.full(200, 1.0), doubling=0.2)
    assert bool(jnp.all(jnp.diff(rising) > 0.0))


def test_by_default_low_flow_recedes_in_45_days_and_a_full_aquifer_drains_faster():
    area, coefficient = 1e6, jnp.array([0.05, 0.2])
    wet = jnp.array([5e3, 1e5])
    default = seepage.Parameters.default(coefficient, area, wet)
    for k in range(2):
        yields, doubling = float(coefficient[k]), float(default.doubling_storage[k])
        given = {"width": float(wet[k]) / 1000, "dt": 1.0, "coefficient": yields, "doubling": doubling}
        for stored, days in ((1e-4, 45.0 / (1 + 1e-4 / 0.045)), (0.045, 22.5), (0.135, 11.25)):
            drained = float(flow(stored / yields, 0.0, float(default.bed_conductance[k]), **given)[0])
            assert stored * area / drained == pytest.approx(days * DAY, rel=1e-3)


@pytest.mark.parametrize("dt", [1.0, 10800.0, DAY])
def test_a_water_table_that_enters_the_soil_column_drains_no_slower(dt):
    """The aquifer stores little there, but what it holds below stays above the stream."""
    head, depth = jnp.linspace(0.2, 2.9, 400), jnp.full(400, 0.1)
    coefficient = soil_hydraulics.mean_storage_coefficient(jnp.array([0.1]), 3.0 - head, 3.0 - depth)
    moved = flow(head, depth, conductance=2e-5, dt=dt, coefficient=coefficient, doubling=0.045)
    assert bool(jnp.all(jnp.diff(moved) > 0.0))
    assert float(jnp.diff(moved).max()) < 0.02 * float(moved[-1])
