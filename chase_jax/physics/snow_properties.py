"""Shared formulas of snow: how it lies, its density and conductivity, how it settles and darkens. No state, no step."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.smooth import power, safe_sqrt, scaled_minimum
from chase_jax.typing import PerCell

PATCH_THICKNESS = 0.05  # m, thickness of the last patches; a third of LSX's, whose limit was one of stability
BENT_HEIGHT = 0.20  # m, grass and crops bend under snow and are buried by this much, lawrence2019
CONDUCTIVITY, CONDUCTIVITY_EXPONENT = 2.224, 1.885  # W m-1 K-1 at the density of water, 1; yen1981
FRESH_DENSITY = 100.0  # kg m-3, of a layer in which there is nothing
LOOSE_DENSITY, DENSE_DENSITY = 50.0, 900.0  # kg m-3, bounds of the density of a layer
EMPTY_THICKNESS = 1e-9  # m, added so that an empty layer has the density of fresh snow
VISCOSITY, VISCOSITY_REFERENCE = 7.62237e6, 250.0  # Pa s, kg m-3; vionnet2012, as the next three
VISCOSITY_TEMPERATURE, VISCOSITY_DENSITY = 10.0, 1.0 / 0.023  # K, kg m-3, e-folding of viscosity
WET_SOFTENING = 60.0  # 1, softening by a unit volume fraction of liquid
COLD_AGEING_TIME, MELTING_AGEING_TIME = 3.6e6, 3.6e5  # s, 1000 h and 100 h, essery2015
REFRESHING_SNOWFALL = 10.0  # kg m-2, snowfall that renews the albedo, essery2015
UNAGED_WATER, UNAGED_TIME = 0.1, 3600.0  # kg m-2, s; a pack of less than about this turns fresh within this time


def cover_and_depth(thickness: PerCell, vegetation_height: PerCell) -> tuple[PerCell, PerCell]:
    r"""Fraction of the tile under snow, and thickness of the pack where there is snow.

    While patches grow, $V = f\,[d_0 + (d_1 - d_0) f]$, so that they are as thick as

    $$ D = V/f = d_0/2 + \sqrt{(d_0/2)^2 + (d_1 - d_0) V}; $$

    then f = V / D is held at one, smoothly, and the depth is V / f.

    Args:
        thickness (cell,): Volume of the pack per area of the tile V, m.
        vegetation_height (cell,): Cover fraction times height of the low vegetation, m; $d_1$ is this within 0.1, 0.2.

    Returns:
        Cover f, 1, and depth V / f, m, never below 0.05, each (cell,).

    Source:
        pollard1995; $d_0$ and the upper bound of $d_1$ are smaller here.
    """
    full = jnp.clip(vegetation_height, 2.0 * PATCH_THICKNESS, BENT_HEIGHT)
    half = 0.5 * PATCH_THICKNESS
    patch = half + jnp.sqrt(half * half + (full - PATCH_THICKNESS) * thickness)
    cover = scaled_minimum(thickness / patch, jnp.ones_like(patch))
    there = thickness + EMPTY_THICKNESS
    return cover, patch * there / scaled_minimum(there, patch)


def density(water: jax.Array, thickness: jax.Array) -> jax.Array:
    """Density of snow, ice and liquid, between 50 and 900; where there is none, 100 kg m-3.

    Args:
        water (...): Ice and liquid, kg m-2.
        thickness (...): Thickness, m.
    """
    found = (water + FRESH_DENSITY * EMPTY_THICKNESS) / (thickness + EMPTY_THICKNESS)
    return jnp.clip(found, LOOSE_DENSITY, DENSE_DENSITY)


def fresh_density(air_temperature: PerCell, wind_speed: PerCell) -> PerCell:
    r"""Density of falling snow, $109 + 6\,T_c + 26\,\sqrt{u}$, at least 50 kg m-3.

    Args:
        air_temperature (cell,): Air temperature T_c, K.
        wind_speed (cell,): Wind speed u, m s-1.

    Source:
        vionnet2012, eq. 1.
    """
    warmth = air_temperature - const.MELTING_TEMPERATURE
    return jnp.maximum(109.0 + 6.0 * warmth + 26.0 * safe_sqrt(wind_speed, 1e-2), LOOSE_DENSITY)


def conductivity(snow_density: jax.Array) -> jax.Array:
    r"""Thermal conductivity, $2.22\,(\rho/1000)^{1.885}$, W m-1 K-1.

    Args:
        snow_density (...): Density of snow, kg m-3.

    Source:
        yen1981.
    """
    return CONDUCTIVITY * power(snow_density / const.WATER_DENSITY, CONDUCTIVITY_EXPONENT)


def compacted(
    frozen: PerCell, liquid: PerCell, thickness: PerCell, load: PerCell, temperature: PerCell, dt: float
) -> PerCell:
    r"""Thickness of a layer after a step of settling, m.

    $$ -\frac{1}{d}\frac{dd}{dt} = \frac{g m}{\eta}, \qquad
       \eta = \frac{\eta_0}{1 + 60\,\theta}\,\frac{\rho}{250}\, e^{(T_m - T)/10 + 0.023\rho} . $$

    Args:
        frozen (cell,): Ice of the layer, kg m-2.
        liquid (cell,): Its liquid, kg m-2, of the volume fraction $\theta$.
        thickness (cell,): Its thickness d, m.
        load (cell,): Mass above its middle m, kg m-2.
        temperature (cell,): Its temperature T, K.
        dt: Step, s.

    Source:
        vionnet2012, eqs. 7 to 9, without the stiffening by depth hoar.
    """
    water = frozen + liquid
    packed = density(water, thickness)
    warmth = jnp.minimum(temperature - const.MELTING_TEMPERATURE, 0.0)
    softening = 1.0 + WET_SOFTENING / const.WATER_DENSITY * liquid / (thickness + EMPTY_THICKNESS)
    creep = const.GRAVITY / VISCOSITY * VISCOSITY_REFERENCE * load / packed * softening
    creep = creep * jnp.exp(warmth / VISCOSITY_TEMPERATURE - packed / VISCOSITY_DENSITY)
    return jnp.clip(thickness / (1.0 + dt * creep), water / DENSE_DENSITY, water / LOOSE_DENSITY)


def aged_albedo(
    albedo: PerCell, fresh: PerCell, aged: PerCell, snowfall: PerCell, water: PerCell, skin: PerCell, dt: float
) -> PerCell:
    r"""Albedo after a step: relaxed towards old snow, and towards fresh snow by snowfall or where there is no snow, 1.

    Old snow is approached in 1000 h in the cold and in 100 h where the skin melts; 10 kg m-2 of snowfall renew it.

    Args:
        albedo (cell,): Albedo at the start, 1.
        fresh (cell,): Albedo of fresh snow, 1.
        aged (cell,): Albedo of old melting snow, 1.
        snowfall (cell,): Snowfall, kg m-2 s-1.
        water (cell,): Mass of the pack, kg m-2.
        skin (cell,): Temperature of the skin, K.
        dt: Step, s.

    Source:
        essery2015.
    """
    melting = jnp.clip(skin - const.MELTING_TEMPERATURE + 1.0, 0.0, 1.0)
    ageing = (1.0 - melting) / COLD_AGEING_TIME + melting / MELTING_AGEING_TIME
    empty = UNAGED_WATER / (UNAGED_WATER + water)
    renewal = snowfall / REFRESHING_SNOWFALL + empty / UNAGED_TIME
    target = aged + renewal / (ageing + renewal) * (fresh - aged)
    return target + (albedo - target) * jnp.exp(-dt * (ageing + renewal))
