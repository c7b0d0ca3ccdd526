r"""Heat of rivers and lakes: a well mixed slab of fixed mass under the air, with ice by the enthalpy method.

$$ \frac{dH}{dt} = R_n - S - E h_v + P h_p, $$

with net radiation $R_n$, sensible heat S, evaporation E and precipitation P. The slab answers only for heat: the mass
of water is kept by the rivers and lakes, as liquid at the melting temperature, whose enthalpy is zero. So evaporation
takes the whole of $h_v$ from the slab, rain brings its warmth and snow its latent heat, and no other water carries
heat. The ice lies on top: heat of the water reaches a cold skin through its thickness, so ice grows by Stefan's law.
Snow that falls on ice is kept by the rivers as liquid, too; as it does not melt, the slab does not pay for it, but the
air, in sensible heat. Neglected: flow of heat with the river, stratification, what snow on the ice does to it.
All fluxes are per unit area of open water.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.smooth import scaled_minimum
from chase_jax.physics import bulk_surface
from chase_jax.physics.atmosphere import Air
from chase_jax.physics.thermodynamics import PhaseState, enthalpy_of, phase_state
from chase_jax.typing import PerCell

BED_HEAT_CAPACITY = 1.0  # J m-2 K-1, none to speak of
WATER_ALBEDO, ICE_ALBEDO = 0.08, 0.50  # 1, open water under a mean sky; ice with some snow on it
LATENT_RANGE = 2.0  # K, change of the slab over which its rarer phase counts as heat capacity towards the skin
CLOSING_ICE = 45.0  # kg m-2, e-folding of the ice cover: 5 cm of ice close two thirds of the surface
ICE_CONDUCTIVITY = 2.24  # W m-1 K-1, sauter2020
EMISSIVITY = 0.97  # 1
ROUGHNESS = 2.0e-4  # m, of momentum, heat and vapor


class Parameters(eqx.Module):
    """Parameters of open water.

    Attributes:
        mixed_layer_depth (cell,): Depth of the slab, m, >= 1 for daily steps.
    """

    mixed_layer_depth: PerCell

    @classmethod
    def default(cls, n_cells: int) -> Parameters:
        """Three meters everywhere.

        Args:
            n_cells: Number of cells.
        """
        return cls(jnp.full(n_cells, 3.0, dtype=float))


class State(eqx.Module):
    """The slab.

    Attributes:
        enthalpy (cell,): Enthalpy, J m-2.
    """

    enthalpy: PerCell

    @classmethod
    def at_temperature(cls, parameters: Parameters, temperature: PerCell) -> State:
        """A slab of liquid water.

        Args:
            parameters: Parameters of open water.
            temperature (cell,): Temperature, K; counted as at least that of melting.
        """
        liquid = const.WATER_DENSITY * parameters.mixed_layer_depth
        warm = jnp.maximum(temperature, const.MELTING_TEMPERATURE)
        return cls(enthalpy_of(warm, liquid, jnp.zeros_like(liquid), BED_HEAT_CAPACITY))


class Fluxes(eqx.Module):
    """Per unit area of open water.

    Attributes:
        evaporation (cell,): To the air, kg m-2 s-1; negative where dew forms.
        sensible_heat (cell,): To the air, W m-2.
        net_shortwave (cell,): Absorbed, W m-2.
        net_longwave (cell,): Absorbed less emitted, W m-2.
        precipitation_heat (cell,): Enthalpy of rain and snowfall, W m-2.
        surface_temperature (cell,): Temperature of the skin of water or ice, K.
        ice_cover (cell,): Fraction of the water under ice, 1.
    """

    evaporation: PerCell
    sensible_heat: PerCell
    net_shortwave: PerCell
    net_longwave: PerCell
    precipitation_heat: PerCell
    surface_temperature: PerCell
    ice_cover: PerCell


def diagnose(parameters: Parameters, state: State) -> PhaseState:
    """Temperature and ice of the slab.

    Args:
        parameters: Parameters of open water.
        state: The slab.
    """
    return phase_state(const.WATER_DENSITY * parameters.mixed_layer_depth, state.enthalpy, BED_HEAT_CAPACITY)


def ice_cover(ice: PerCell) -> PerCell:
    """Fraction of the water under ice, 1 - exp(-ice / 45 kg m-2), 1.

    Args:
        ice (cell,): Ice in the slab, kg m-2.
    """
    return 1.0 - jnp.exp(-ice / CLOSING_ICE)


def step(parameters: Parameters, state: State, air: Air, available_water: PerCell, dt: float) -> tuple[State, Fluxes]:
    """Advance the slab; implicit in its temperature, so a day is a good step.

    Energy: d(enthalpy) = dt (net_shortwave + net_longwave - sensible_heat - evaporation * vapor_enthalpy
    + precipitation_heat). Evaporation is still to be taken from river or lake.

    Args:
        parameters: Parameters of open water.
        state: The slab at the start of the step.
        air: The air above; precipitation included.
        available_water (cell,): Water that river or lake could lose, per area of open water, kg m-2. What would
            evaporate beyond it becomes sensible heat.
        dt: Step, s.

    Returns:
        The slab at the end of the step, and its fluxes.

    Source:
        pollard1995 for the mixed layer; the implicit skin of `bulk_surface`, whose store is the slab.
    """
    phase = diagnose(parameters, state)
    cover = ice_cover(phase.frozen)
    sunlight = air.direct_visible + air.diffuse_visible + air.direct_infrared + air.diffuse_infrared
    net_shortwave = (1.0 - WATER_ALBEDO - (ICE_ALBEDO - WATER_ALBEDO) * cover) * sunlight
    snow_heat = air.snowfall * air.snow_enthalpy
    precipitation_heat = air.rain * air.rain_enthalpy + snow_heat
    on_ice = cover * snow_heat
    # The tangent dH/dT, or melt without bound, would let the last ice hold the slab at melting for the whole of a step.
    sensible = const.SPECIFIC_HEAT_WATER * phase.liquid + const.SPECIFIC_HEAT_ICE * phase.frozen
    per_kelvin = const.LATENT_HEAT_FUSION / LATENT_RANGE
    capacity = BED_HEAT_CAPACITY + sensible + per_kelvin * scaled_minimum(phase.liquid, phase.frozen)
    skin = bulk_surface.solve(
        air,
        net_shortwave + precipitation_heat - on_ice,
        EMISSIVITY,
        ROUGHNESS,
        ROUGHNESS,
        1.0 / (phase.frozen / (const.ICE_DENSITY * ICE_CONDUCTIVITY) + dt / capacity),
        phase.temperature,
        source_enthalpy=0.0,
        melt_conductance=scaled_minimum(bulk_surface.MELT_CONDUCTANCE * cover, per_kelvin * phase.frozen / dt),
    )
    skin = bulk_surface.limit_evaporation(skin, available_water / dt, air.vapor_enthalpy)
    fluxes = Fluxes(
        evaporation=skin.evaporation,
        sensible_heat=skin.sensible_heat + on_ice,
        net_shortwave=net_shortwave,
        net_longwave=skin.net_longwave,
        precipitation_heat=precipitation_heat,
        surface_temperature=skin.temperature,
        ice_cover=cover,
    )
    return State(state.enthalpy + dt * (skin.conduction + skin.melt_heat)), fluxes
