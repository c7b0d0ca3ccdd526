"""Random soil columns over their whole range of states, for the tests of soil water and soil heat."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.physics import exchange, runoff, soil_heat, soil_hydraulics, soil_water
from chase_jax.physics.thermodynamics import enthalpy_of

STEP = 10800.0  # s


def loam(n_cells=1, **changes):
    """The loam of IBIS; `changes` replace leaves."""
    values = {
        "porosity": 0.463,
        "exponent": 4.5,
        "air_entry_suction": 0.11,
        "saturated_conductivity": 3.667e-6,
        "field_capacity": 0.58,
        "wilting_point": 0.25,
        "solid_heat_capacity": 1.25e6,
        "dry_conductivity": 0.27,
        "sand": 0.42,
        "clay": 0.18,
    }
    return soil_hydraulics.Parameters(**{k: jnp.full(n_cells, v, dtype=float) for k, v in (values | changes).items()})


def textures(n_cells, seed):
    generator = np.random.default_rng(seed)
    sand = generator.uniform(0.0, 1.0, n_cells)
    return soil_hydraulics.from_texture(sand, (1.0 - sand) * generator.uniform(0.0, 1.0, n_cells))


def state_of(parameters, saturation, temperature, puddle, thickness=soil_hydraulics.LAYER_THICKNESS):
    """A state of given total saturation and temperature (layer, cell); below freezing all water is ice."""
    water = saturation * soil_hydraulics.pore_capacity(parameters, thickness)
    lumped = water.at[0].add(puddle)
    frozen = jnp.where(temperature < const.MELTING_TEMPERATURE, lumped, 0.0)
    dry = soil_hydraulics.dry_heat_capacity(parameters, thickness)
    return soil_water.State(water, enthalpy_of(temperature, lumped - frozen, frozen, dry), puddle)


def random_state(parameters, seed):
    """Dry to saturated, frozen to hot, ponded or not."""
    generator = np.random.default_rng(seed)
    cells = parameters.porosity.shape[0]
    saturation = np.clip(generator.uniform(-0.2, 1.3, (6, cells)), 0.0, 1.0)
    puddle = generator.uniform(0.0, 12.0, cells) * (generator.random(cells) < 0.4)
    return state_of(
        parameters, saturation, jnp.asarray(generator.uniform(258.0, 305.0, (6, cells))), jnp.asarray(puddle)
    )


def random_fluxes(cells, seed, strength=1.0):
    """Ground water input and its heat, evaporation, transpiration wanted, heat into the ground."""
    generator = np.random.default_rng(seed)
    rain = strength * generator.gamma(0.4, 2e-3, cells) * (generator.random(cells) < 0.6)
    return {
        "water_input": jnp.asarray(rain),
        "input_heat": jnp.asarray(rain * const.SPECIFIC_HEAT_WATER * generator.uniform(0.0, 20.0, cells)),
        "evaporation": jnp.asarray(strength * generator.uniform(-2e-5, 2e-4, cells)),
        "transpiration": jnp.asarray(strength * generator.uniform(0.0, 2e-4, cells)),
        "ground_heat": jnp.asarray(generator.normal(0.0, 80.0, cells)),
    }


class Aquifer(eqx.Module):
    """The aquifer below the columns: thickness m, yield 1, land fraction 1, storage m."""

    thickness: jax.Array
    specific_yield: jax.Array
    land_fraction: jax.Array
    storage: jax.Array


def random_aquifer(cells, seed):
    """Empty, part full, nearly full, and with a head in the soil column."""
    generator = np.random.default_rng(seed)
    thickness, specific_yield = generator.uniform(5.0, 60.0, cells), generator.uniform(0.02, 0.3, cells)
    level = generator.choice([0.0, 0.5, 0.99, 1.0], cells)
    storage = thickness * specific_yield * level + 0.012 * generator.random(cells) * (level == 1.0)
    return Aquifer(*map(jnp.asarray, (thickness, specific_yield, generator.uniform(0.1, 1.0, cells), storage)))


def land_step(
    parameters, exchange_parameters, runoff_parameters, aquifer, state, storage, fluxes, form="D5", **options
):
    """One land sub-step of the column; what comes back closes the budgets of the tests."""
    phase = soil_water.diagnose(parameters, state)
    coupling = soil_heat.conduction(parameters, phase, STEP)
    stress = soil_water.root_stress(parameters, phase, jnp.full_like(state.water, 1.0 / 6.0))
    pores = soil_hydraulics.pore_capacity(parameters)
    upper = runoff.upper_share(runoff_parameters.contributing_depth, soil_hydraulics.LAYER_THICKNESS)
    held, room = jnp.sum(upper * state.water, axis=0), jnp.sum(upper * pores, axis=0)
    divided = runoff.partition(
        runoff_parameters,
        form,
        fluxes["water_input"],
        fluxes["input_heat"],
        held,
        room,
        state.puddle,
        STEP,
    )
    bottom = jax.tree_util.Partial(
        exchange.soil_aquifer, exchange_parameters, parameters, aquifer.thickness, aquifer.specific_yield
    )
    share = exchange.bypass_share(
        exchange_parameters, parameters, aquifer.thickness, aquifer.specific_yield, held / room, storage
    )
    moved, storage, flows = soil_water.step(
        parameters,
        state,
        phase,
        divided.supply,
        fluxes["evaporation"],
        fluxes["transpiration"] * stress.factor * stress.share,
        storage,
        bottom,
        divided.puddle_capacity,
        divided.capacity_factor,
        aquifer.land_fraction,
        STEP,
        bypass_share=share,
        **options,
    )
    surface_heat = fluxes["ground_heat"] + divided.supply_heat - flows.evaporation * phase.mean_enthalpy[0]
    enthalpy, heat = soil_heat.step(
        parameters,
        state.enthalpy,
        moved.water.at[0].add(moved.puddle),
        phase,
        coupling,
        surface_heat,
        flows.interface_flow,
        flows.recharge,
        flows.uptake,
        flows.puddle_runoff,
        STEP,
        bypass=flows.bypass,
    )
    end = soil_water.State(moved.water, enthalpy, moved.puddle)
    return end, storage, {"water": flows, "heat": heat, "divided": divided, "surface_heat": surface_heat}
