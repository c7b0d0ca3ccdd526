"""Does it add up? Residuals of every store as the contract defines them, and the terms of the monthly budget."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.domain.domain import Domain
from chase_jax.model import land
from chase_jax.model.containers import Fluxes, Residuals, State
from chase_jax.typing import PerCell, Scalar

LEAST = 1.0  # kg m-2, below which fluxes do not make a residual relative
DAY = const.SECONDS_PER_DAY


def no_residuals(cells: int) -> Residuals:
    """Zeros. Argument: number of cells."""
    zero, nothing = jnp.zeros(cells), jnp.zeros(())
    return Residuals(zero, zero, zero, nothing, nothing, zero)


def _relative(change: jax.Array, gains: tuple, losses: tuple) -> jax.Array:
    """|change - net inflow| over the sum of the absolute fluxes, or over 1 mm."""
    size = sum(jnp.abs(DAY * f) for f in (*gains, *losses))
    return jnp.abs(change - DAY * (sum(gains) - sum(losses))) / jnp.maximum(size, LEAST)


def storage(domain: Domain, state: State) -> PerCell:
    """Water in all stores of a cell (cell,), kg m-2.

    Args:
        domain: The domain.
        state: All stores.
    """
    rest = const.WATER_DENSITY * (state.aquifer.storage + state.water.volume / domain.cell_area)
    return domain.land_fraction * land.water(state.land) + glacier_water(domain, state) + rest


def glacier_water(domain: Domain, state: State) -> PerCell:
    """Snow and ice of the glacier tile per cell area (cell,), kg m-2.

    Args:
        domain: The domain.
        state: All stores.
    """
    cell = domain.glacier_cell
    held = (state.glacier.snow.water + state.glacier.ice.ice) * domain.glacier_fraction[cell]
    return jnp.zeros(domain.cells, held.dtype).at[cell].set(held)


def residuals(
    domain: Domain, before: State, after: State, column: land.Fluxes, fluxes: Fluxes, energy: PerCell
) -> Residuals:
    """Residuals of a day.

    Args:
        domain: The domain.
        before: Stores at the start.
        after: Stores at the end.
        column: Fluxes per area of the land tile.
        fluxes: Fluxes per area of the cell.
        energy (cell,): Largest energy residual of columns, glaciers and open water, W m-2.
    """
    area = domain.cell_area
    falls = fluxes.precipitation * domain.glacier_fraction
    volume = jnp.sum(after.water.volume - before.water.volume) * const.WATER_DENSITY
    whole = jnp.sum(area)

    def mean(values: PerCell) -> Scalar:
        return jnp.sum(values * area) / whole

    out = jnp.sum(fluxes.outflow) * const.WATER_DENSITY / whole
    into_rivers = (mean(fluxes.runoff), mean(fluxes.water_precipitation))
    return Residuals(
        land=_relative(
            land.water(after.land) - land.water(before.land),
            (column.rain, column.snowfall),
            (column.evaporation, column.surface_runoff, column.recharge),
        ),
        glacier=_relative(
            glacier_water(domain, after) - glacier_water(domain, before),
            (falls,),
            (fluxes.glacier_evaporation, fluxes.glacier_runoff),
        ),
        aquifer=_relative(
            const.WATER_DENSITY * (after.aquifer.storage - before.aquifer.storage),
            (fluxes.land.recharge, fluxes.lateral),
            (fluxes.seepage, fluxes.exfiltration, fluxes.submarine_groundwater_discharge),
        ),
        rivers=_relative(volume / whole, into_rivers, (mean(fluxes.open_water_evaporation), out)),
        total=_relative(
            mean(storage(domain, after) - storage(domain, before)),
            (mean(fluxes.precipitation),),
            (mean(fluxes.evaporation), out, mean(fluxes.submarine_groundwater_discharge)),
        ),
        energy=energy,
    )


def terms(domain: Domain, before: State, after: State, fluxes: Fluxes) -> dict[str, Scalar]:
    """Terms of a day's budget, mean over the domain: water in mm, energy in W m-2.

    Args:
        domain: The domain.
        before: Stores at the start.
        after: Stores at the end.
        fluxes: Fluxes of the day.
    """
    area = domain.cell_area / jnp.sum(domain.cell_area)
    f, column = fluxes, fluxes.land

    def mean(values: PerCell) -> Scalar:
        return jnp.sum(values * area)

    def change(store) -> Scalar:
        return mean(store(after) - store(before))

    flows = {
        "precipitation": f.precipitation,
        "rain_on_land": column.rain,
        "snowfall_on_land": column.snowfall,
        "precipitation_on_water": f.water_precipitation,
        "throughfall": column.throughfall,
        "canopy_evaporation": column.canopy_evaporation,
        "transpiration": column.transpiration,
        "soil_evaporation": column.soil_evaporation,
        "snow_sublimation": column.snow_sublimation,
        "glacier_evaporation": f.glacier_evaporation,
        "open_water_evaporation": f.open_water_evaporation,
        "snow_melt": column.snow_melt,
        "snow_outflow": column.snow_outflow,
        "glacier_melt": f.glacier_melt,
        "glacier_runoff": f.glacier_runoff,
        "infiltration": column.infiltration,
        "direct_runoff": column.direct_runoff,
        "puddle_runoff": column.puddle_runoff,
        "soil_freezing": jnp.abs(column.soil_freezing),
        "recharge": column.recharge,
        "recharge_down": jnp.maximum(column.recharge, 0.0),
        "capillary_rise": jnp.maximum(-column.recharge, 0.0),
        "aquifer_lateral": jnp.maximum(f.lateral, 0.0),
        "exfiltration": f.exfiltration,
        "submarine_groundwater_discharge": f.submarine_groundwater_discharge,
        "seepage": f.seepage,
        "seepage_to_rivers": jnp.maximum(f.seepage, 0.0),
        "seepage_from_rivers": jnp.maximum(-f.seepage, 0.0),
        "runoff": f.runoff,
    }
    found = {name: DAY * mean(flow) for name, flow in flows.items()}
    found["outflow"] = DAY * jnp.sum(f.outflow) * const.WATER_DENSITY / jnp.sum(domain.cell_area)
    stores = {
        "canopy": lambda s: domain.land_fraction * jnp.sum(s.land.canopy.water, axis=0),
        "snow": lambda s: domain.land_fraction * s.land.snow.water,
        "soil": lambda s: domain.land_fraction * (jnp.sum(s.land.soil.water, axis=0) + s.land.soil.puddle),
        "glacier": lambda s: glacier_water(domain, s),
        "aquifer": lambda s: const.WATER_DENSITY * s.aquifer.storage,
        "rivers_and_lakes": lambda s: const.WATER_DENSITY * s.water.volume / domain.cell_area,
    }
    found |= {f"change_of_{name}": change(store) for name, store in stores.items()}
    powers = {
        "net_radiation": f.net_radiation,
        "sensible_heat": f.sensible_heat,
        "latent_heat": f.latent_heat,
        "net_shortwave_of_land": column.net_shortwave,
        "net_longwave_of_land": column.net_longwave,
        "ground_heat": column.ground_heat,
    }
    return found | {name: mean(power) for name, power in powers.items()}
