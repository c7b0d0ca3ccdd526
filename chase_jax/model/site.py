r"""The land column at a site: the same canopy, snow and soil as in the coupled model, under weather measured there.

A site is one column or several, each with its own place, soil and plants. Rivers, lakes and lateral flow are left out.
Below the soil lies the aquifer of the cell with its exchange; what the surroundings take from it or bring to it after
each sub-step draws its storage S towards that of a reference water table,

$$ O = \frac{S - S_r}{dt} \left(1 - e^{-dt / \tau}\right) . $$

The reference lies at the bottom of the soil column or below it. A time $\tau$ that is short against a sub-step holds it
there, as ditches and canals do; a table far below the column leaves the column to drain freely.

Where the water content of the upper soil was measured, it can be prescribed: what that adds or takes is reported, as
the irrigation of a field would be.

Water, per sub-step: d(canopy + snow + soil + puddle) = rain + snowfall + added - evaporation - surface_runoff -
recharge and d(aquifer) = recharge - outflow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.checks import require, require_between, require_shape
from chase_jax.model import land
from chase_jax.numerics.scan import checkpointed_scan
from chase_jax.physics import atmosphere, soil_hydraulics, soil_water, vegetation
from chase_jax.typing import CellIndex, PerCell, PerMonthCell

AQUIFER_THICKNESS, SPECIFIC_YIELD = 50.0, 0.1  # m, 1, where nothing is known
DEEP_TABLE = 20.0  # m, from which no water rises to the roots
DRAINAGE_TIME = 86400.0  # s


class Site(eqx.Module):
    """Columns and what surrounds them, (cell,).

    Attributes:
        parameters: Parameters of the columns.
        latitude: degree north.
        solar_time_ahead: By how much local solar time is ahead of the clock of the weather, h.
        sensor_height: Height at which wind, temperature and humidity were measured over the site's own vegetation, m;
            None if wind is that at 10 m in the open and the air that of a screen.
        aquifer_thickness: m.
        specific_yield: 1.
        water_table_depth: Depth of the reference water table below the surface, m, >= 2.5.
        drainage_time: Time in which the aquifer approaches it, s, > 0.
        options: Variants of processes; the length of a sub-step is that of the weather.
    """

    parameters: land.Parameters
    latitude: PerCell
    solar_time_ahead: PerCell
    sensor_height: PerCell | None
    aquifer_thickness: PerCell
    specific_yield: PerCell
    water_table_depth: PerCell
    drainage_time: PerCell
    options: land.Options = land.Options()

    @classmethod
    def default(
        cls,
        latitude: PerCell,
        longitude: PerCell,
        clock: float,
        vegetation_class: CellIndex,
        sand: PerCell,
        clay: PerCell,
        leaf_area_index: PerMonthCell | None = None,
        vegetation_height: PerCell | None = None,
        sensor_height: PerCell | None = None,
        water_table_depth: PerCell | None = None,
        drainage_time: float = DRAINAGE_TIME,
        options: land.Options | None = None,
    ) -> Site:
        """A site with default parameters.

        Args:
            latitude (cell,): degree north.
            longitude (cell,): degree east.
            clock: Hours by which the clock of the weather is ahead of UTC.
            vegetation_class (cell,): Land cover, USGS 24-class legend.
            sand (cell,): Mass fraction of sand, 1.
            clay (cell,): Mass fraction of clay, 1.
            leaf_area_index (month, cell): Leaf area index of each month, 1; that of the class if not given.
            vegetation_height (cell,): Height of the low vegetation, m; that of the class if not given.
            sensor_height (cell,): See :class:`Site`.
            water_table_depth (cell,): Depth of the reference water table, m; 20 if not given.
            drainage_time: Time in which the aquifer approaches it, s.
            options: Variants of processes.

        Raises:
            InputError: If shapes disagree or a value is out of its range.
        """
        shape = np.shape(latitude)
        for value, name in ((longitude, "longitude"), (vegetation_class, "vegetation_class"), (sand, "sand")):
            require_shape(value, name, shape)
        require_between(latitude, "latitude", -90.0, 90.0, "degree")
        require_between(longitude, "longitude", -180.0, 360.0, "degree")
        require_between(clock, "clock", -14.0, 14.0, "h")
        require(drainage_time > 0.0, f"Argument `drainage_time` must be above 0 s, but is {drainage_time:g}.")
        if leaf_area_index is None:
            leaf_area_index = vegetation.leaf_area_climatology(vegetation_class, latitude)
        require_shape(leaf_area_index, "leaf_area_index", (12, *shape))
        depth = np.full(shape, DEEP_TABLE) if water_table_depth is None else np.asarray(water_table_depth, dtype=float)
        require_shape(depth, "water_table_depth", shape)
        bounds = soil_hydraulics.COLUMN_DEPTH, soil_hydraulics.COLUMN_DEPTH + AQUIFER_THICKNESS
        require_between(depth, "water_table_depth", *bounds, "m")
        if sensor_height is not None:
            require_shape(sensor_height, "sensor_height", shape)
            sensor_height = jnp.asarray(sensor_height, dtype=float)
        options = options or land.Options()
        plants = vegetation.from_class(vegetation_class, leaf_area_index)
        if vegetation_height is not None:
            require_shape(vegetation_height, "vegetation_height", shape)
            require_between(vegetation_height, "vegetation_height", 0.02, 5.0, "m")
            plants = vegetation.with_height(plants, jnp.asarray(vegetation_height, dtype=float))
        soil = soil_hydraulics.from_texture(sand, clay)
        parameters = land.Parameters.default(plants, leaf_area_index, soil, options.dcor_form)
        ahead = (np.asarray(longitude, dtype=float) + 180.0) % 360.0 / 15.0 - 12.0 - clock
        full = lambda value: jnp.full(shape, value, dtype=float)  # noqa: E731
        return cls(
            parameters=parameters,
            latitude=jnp.asarray(latitude, dtype=float),
            solar_time_ahead=jnp.asarray(ahead),
            sensor_height=sensor_height,
            aquifer_thickness=full(AQUIFER_THICKNESS),
            specific_yield=full(SPECIFIC_YIELD),
            water_table_depth=jnp.asarray(depth),
            drainage_time=full(drainage_time),
            options=options,
        )

    def reference_storage(self) -> PerCell:
        """Storage of the aquifer whose water table has the reference depth (cell,), m."""
        bottom = soil_hydraulics.COLUMN_DEPTH + self.aquifer_thickness
        return self.specific_yield * (bottom - self.water_table_depth)


class State(eqx.Module):
    """Stores of a site.

    Attributes:
        land: Canopy, snow and soil.
        aquifer_storage (cell,): Water of the aquifer, m.
    """

    land: land.State
    aquifer_storage: PerCell


class Weather(eqx.Module):
    """Weather of whole days in equal intervals, the first of each beginning at midnight of the station's clock.

    Attributes:
        measured: What was measured, leaves (day, substep, cell).
        day_of_year (day,): Day of the year, 1 on 1 January.
        leaf_area_index (day, cell): Leaf area index, 1; None for that of the parameters.
        soil_moisture (day, layer, cell): Volume fraction of water to which the upper layers of the soil are
            set, as many as the axis is long, 1; None leaves the soil to itself.
        vegetation_height (day, cell): Height of the low vegetation, m; None for that of the parameters.
    """

    measured: atmosphere.Measured
    day_of_year: jax.Array
    leaf_area_index: jax.Array | None = None
    soil_moisture: jax.Array | None = None
    vegetation_height: jax.Array | None = None

    @classmethod
    def from_series(
        cls, measured: atmosphere.Measured, steps_per_day: int, day_of_year: np.ndarray, leaf_area_index=None
    ) -> Weather:
        """Days cut from series.

        Args:
            measured: What was measured, leaves (time, cell), beginning at midnight.
            steps_per_day: Intervals of a day.
            day_of_year (day,): Day of the year of every day.
            leaf_area_index (day, cell): Leaf area index of every day, 1.

        Raises:
            InputError: If a series is not of whole days, or not finite, or out of its range.
        """
        days = np.shape(day_of_year)[0]
        limits = {
            "temperature": (180.0, 340.0, "K"),
            "specific_humidity": (0.0, 0.1, "1"),
            "pressure": (3e4, 1.2e5, "Pa"),
            "wind_speed": (0.0, 100.0, "m s-1"),
            "shortwave_down": (0.0, 1500.0, "W m-2"),
            "rain": (0.0, 0.2, "kg m-2 s-1"),
            "snowfall": (0.0, 0.2, "kg m-2 s-1"),
            "longwave_down": (50.0, 700.0, "W m-2"),
        }
        for name, (lower, upper, unit) in limits.items():
            series = getattr(measured, name)
            if series is None:
                continue
            length = np.shape(series)[0]
            require(
                length == days * steps_per_day,
                f"Argument `measured.{name}` must have {steps_per_day} intervals for each of {days} days, "
                f"but has {length}.",
            )
            require_between(series, f"measured.{name}", lower, upper, unit)

        def cut(leaf: jax.Array) -> jax.Array:
            return jnp.asarray(leaf).reshape(days, steps_per_day, -1)

        leaves = None if leaf_area_index is None else jnp.asarray(leaf_area_index)
        return cls(jax.tree.map(cut, measured), jnp.asarray(day_of_year, dtype=float), leaves)


class Result(eqx.Module):
    """What a run returns.

    Attributes:
        state: Stores at the end.
        record: What `record` chose of every sub-step, leaves (day, substep, ...).
    """

    state: State
    record: Any


class Exchanged(eqx.Module):
    """What a sub-step exchanged, kg m-2 s-1 and W m-2.

    Attributes:
        land: Fluxes of the column.
        outflow (cell,): What the surroundings took from the aquifer, kg m-2 s-1.
        added (cell,): Water added where soil moisture is prescribed, kg m-2 s-1; negative where taken.
        added_heat (cell,): Its enthalpy, W m-2.
    """

    land: land.Fluxes
    outflow: PerCell
    added: PerCell
    added_heat: PerCell


Chooser = Callable[[State, Exchanged], Any]


def _exchanged(state: State, exchanged: Exchanged) -> Exchanged:
    """The default `record`: all that is exchanged; the stores are not kept."""
    return exchanged


def initial_state(site: Site, temperature: PerCell, saturation: PerCell | None = None) -> State:
    """A cold start: no snow, soil in equilibrium with the water table, or as moist as is said.

    Args:
        site: The site.
        temperature (cell,): Temperature of all stores, K.
        saturation (cell,): Saturation of all layers, 1; that of equilibrium, at least field capacity, if not given.
    """
    soil = site.parameters.soil
    if saturation is None:
        saturation = soil_hydraulics.saturation_above(soil, site.water_table_depth, soil.field_capacity)
    return State(land.State.cold(site.parameters, temperature, saturation), site.reference_storage())


def prescribe_moisture(
    site: Site, soil: soil_water.State, moisture: jax.Array, dt: float
) -> tuple[soil_water.State, PerCell, PerCell]:
    """Set the upper layers of the soil to a water content; thawed soil keeps its temperature.

    Args:
        site: The site.
        soil: Stores of the soil.
        moisture (layer, cell): Volume fraction of water, 1, counted as at most the pores; as many layers as are set.
        dt: Length of the step, s.

    Returns:
        The soil, the water added (cell,), kg m-2 s-1, and its enthalpy (cell,), W m-2.
    """
    layers = moisture.shape[0]
    pores = soil_hydraulics.pore_capacity(site.parameters.soil)[:layers]
    thickness = jnp.asarray(soil_hydraulics.LAYER_THICKNESS[:layers])[:, None]
    target = jnp.minimum(const.WATER_DENSITY * thickness * moisture, pores)
    phase = soil_water.diagnose(site.parameters.soil, soil)
    added = target - soil.water[:layers]
    # water comes as liquid and leaves as the mixture that is there: neither changes the temperature of thawed soil
    heat = added * jnp.where(added > 0.0, phase.liquid_enthalpy[:layers], phase.mean_enthalpy[:layers])
    new = soil_water.State(
        water=soil.water.at[:layers].set(target),
        enthalpy=soil.enthalpy.at[:layers].add(heat),
        puddle=soil.puddle,
    )
    return new, jnp.sum(added, axis=0) / dt, jnp.sum(heat, axis=0) / dt


def day(
    site: Site,
    state: State,
    leaf_area: PerCell,
    intervals: Any,
    air_of: Callable[[Any], atmosphere.Air],
    dt: float,
    moisture: jax.Array | None = None,
    record: Chooser = _exchanged,
) -> tuple[State, Any]:
    """Advance a site through the sub-steps of one day.

    Args:
        site: The site.
        state: Stores at the start.
        leaf_area (cell,): Leaf area index of the day, 1.
        intervals: Weather with a leading sub-step axis on every leaf.
        air_of: Makes the air of a sub-step from its weather.
        dt: Length of a sub-step, s.
        moisture (layer, cell): Water content to which the upper layers are set after every sub-step, 1; None for none.
        record: What to keep of every sub-step.
    """
    reference = site.reference_storage()
    share = -jnp.expm1(-dt / site.drainage_time)
    setting = land.Setting(
        latitude=site.latitude,
        land_fraction=jnp.ones_like(site.latitude),
        aquifer_thickness=site.aquifer_thickness,
        specific_yield=site.specific_yield,
        aquifer_storage=state.aquifer_storage,
        open_water_available=jnp.zeros_like(site.latitude),
        sensor_height=site.sensor_height,
    )

    def after(columns: land.State, storage: PerCell, fluxes: land.Fluxes):
        lost = (storage - reference) * share
        left = storage - lost
        added = added_heat = jnp.zeros_like(lost)
        if moisture is not None:
            soil, added, added_heat = prescribe_moisture(site, columns.soil, moisture, dt)
            columns = eqx.tree_at(lambda stores: stores.soil, columns, soil)
        exchanged = Exchanged(fluxes, lost * (const.WATER_DENSITY / dt), added, added_heat)
        return columns, left, record(State(columns, left), exchanged)

    columns, storage, kept = land.through(
        site.parameters, state.land, setting, site.options, leaf_area, intervals, air_of, dt, after
    )
    return State(columns, storage), kept


def _air(pair: tuple[atmosphere.Shared, atmosphere.Interval]) -> atmosphere.Air:
    """The air of an interval of measured weather."""
    return atmosphere.air(*pair)


def run(site: Site, state: State, weather: Weather, record: Chooser = _exchanged, block: int | None = None) -> Result:
    """Run a site through its weather; pure, so that jit, grad and jvp go through it.

    Args:
        site: The site.
        state: Stores at the start.
        weather: Weather of whole days.
        record: What to keep of every sub-step, a function of the new stores and what was exchanged.
        block: Days between kept states in reverse mode; None keeps every day's.
    """
    p = site.parameters
    dt = const.SECONDS_PER_DAY / weather.measured.temperature.shape[1]

    def today(carry: State, now: Weather):
        pair = atmosphere.prepare_measured(
            p.atmosphere, now.measured, site.latitude, now.day_of_year, site.solar_time_ahead
        )
        leaf_area = now.leaf_area_index
        if leaf_area is None:
            leaf_area = land.leaf_area_today(p.leaf_area_index, now.day_of_year)
        grown = site
        if now.vegetation_height is not None:
            plants = vegetation.with_height(p.vegetation, now.vegetation_height)
            grown = eqx.tree_at(lambda s: s.parameters.vegetation, site, plants)
        return day(grown, carry, leaf_area, pair, _air, dt, now.soil_moisture, record)

    return Result(*checkpointed_scan(today, state, weather, block))
