r"""Turbulent exchange between the air, two canopy layers and the ground: shared formulas, no state, no step.

Once a day :func:`geometry` turns heights and leaf areas into the profile of wind through two layers of vegetation
(linear momentum equations with constant diffusivity in each layer); :func:`exchange` then needs only the wind and two
stability factors to give every transfer coefficient. The *shape* of the wind profile is that of neutral air: stability
scales the stress at its top and the heat conductances, but does not move stress from one layer to the other. Bare ice
and open water use the bulk form :func:`bulk_conductance`.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.physics import vegetation
from chase_jax.typing import PerCell

MINIMUM_WIND = 0.5  # m s-1; below it free convection and meandering keep exchange alive
UNSTABLE_LIMIT, STABLE_LIMIT = -2.0, 1.0  # 1, range of the Richardson number, pollard1995
SNOW_STABLE_LIMIT = 0.2  # 1, its upper end over snow, where turbulence outlives strong stability, martin1998, boone2001
# Below trees, gusts from above keep up the exchange that the local gradient would end. With this limit it falls to half
# at most, with that over snow to a fifth; choice of this project.
BETWEEN_STABLE_LIMIT = 0.05  # 1, its upper end between the layers of vegetation
SOIL_ROUGHNESS, SNOW_ROUGHNESS = 0.005, 0.0005  # m, foley1996
DRAG_AREA = 8.0  # 1, two-sided leaf area that makes a layer dense to the wind, foley1996
LEAF_TRANSFER = 0.01  # m s-1/2, transfer coefficient of leaves and stems, foley1996
UPPER_LEAF_LENGTH, LOWER_LEAF_LENGTH = 0.10, 0.05  # m, foley1996
BLENDING_HEIGHT = 40.0  # m; wind there is the same over grass and over forest
GRASS_ROUGHNESS = 0.03  # m, open terrain of meteorological stations, wmo2008
SCREEN_HEIGHT = 2.0  # m, thermometer screen above the canopy
SENSOR_CLEARANCE = 0.5  # m, least height of a tower's sensors above the canopy


def louis_factor(log_height_ratio: PerCell) -> PerCell:
    r"""The factor 75 y / sqrt(-Ri) of :func:`stability`, $75 (k/x)^2 e^{x/2}$ with $x = \max(\ln(z/z_0), 0.5)$, 1.

    Args:
        log_height_ratio (cell,): ln of height over roughness length, 1.

    Source:
        louis1982, pollard1995.
    """
    x = jnp.maximum(log_height_ratio, 0.5)
    ratio = const.VON_KARMAN / x
    return 75.0 * ratio * ratio * jnp.exp(0.5 * x)


def stability(
    richardson: PerCell, factor: PerCell, stable_limit: PerCell | float = STABLE_LIMIT
) -> tuple[PerCell, PerCell]:
    r"""Stability factors of momentum and heat.

    $$ \mathrm{Ri} < 0: \; f = 1 - \frac{a\,\mathrm{Ri}}{1 + F\sqrt{-\mathrm{Ri}}}, \qquad
       \mathrm{Ri} > 0: \; f_m = \frac{1}{1 + 10\,\mathrm{Ri}/\sqrt{1+5\,\mathrm{Ri}}}, \;
       f_h = \frac{1}{1 + 15\,\mathrm{Ri}\sqrt{1+5\,\mathrm{Ri}}} $$

    with a = 10 for momentum, 15 for heat. Both branches have the same slope at Ri = 0.

    Args:
        richardson (cell,): Bulk Richardson number Ri, 1, > 0 in stable air; counted as at least -2.
        factor (cell,): F of :func:`louis_factor`, 1.
        stable_limit (cell,): The Richardson number that counts at most, 1.

    Returns:
        Factors of momentum and of heat, both 1 in neutral air.

    Source:
        louis1982, as in pollard1995.
    """
    is_stable = richardson >= 0.0
    stable = jnp.minimum(jnp.where(is_stable, richardson, 0.0), stable_limit)
    unstable = jnp.minimum(jnp.where(is_stable, 0.0, -richardson), -UNSTABLE_LIMIT)
    gain = unstable / (1.0 + factor * jnp.sqrt(unstable + 1e-12))  # the small number keeps the slope finite
    root = jnp.sqrt(1.0 + 5.0 * stable)
    momentum = jnp.where(is_stable, root / (root + 10.0 * stable), 1.0 + 10.0 * gain)
    heat = jnp.where(is_stable, 1.0 / (1.0 + 15.0 * stable * root), 1.0 + 15.0 * gain)
    return momentum, heat


def bulk_conductance(
    wind_speed: PerCell,
    air_temperature: PerCell,
    surface_temperature: PerCell,
    reference_height: PerCell | float,
    momentum_roughness: PerCell | float,
    heat_roughness: PerCell | float,
    stable_limit: PerCell | float = STABLE_LIMIT,
) -> PerCell:
    r"""Conductance of heat and vapor between one open surface and the air above it.

    $$ C = \frac{k^2 u}{\ln(z/z_0)\,\ln(z/z_h)} f_h(\mathrm{Ri}), \qquad
       \mathrm{Ri} = \frac{g z (T_a - T_s)}{\tfrac12 (T_a + T_s)\, u^2} $$

    Args:
        wind_speed (cell,): Wind at the reference height u, m s-1; counted as at least 0.5.
        air_temperature (cell,): Air temperature at the reference height, K.
        surface_temperature (cell,): Temperature of the surface, K.
        reference_height (cell,): Height z, m.
        momentum_roughness (cell,): Roughness length of momentum z_0, m.
        heat_roughness (cell,): Roughness length of heat and vapor z_h, m.
        stable_limit (cell,): The Richardson number that counts at most, 1.

    Returns:
        (cell,): Conductance, m s-1.

    Source:
        louis1982, as in pollard1995.
    """
    wind = jnp.maximum(wind_speed, MINIMUM_WIND)
    momentum_log = jnp.log(reference_height / jnp.asarray(momentum_roughness))
    heat_log = jnp.log(reference_height / jnp.asarray(heat_roughness))
    mean_temperature = 0.5 * (air_temperature + surface_temperature)
    difference = air_temperature - surface_temperature
    richardson = const.GRAVITY * reference_height * difference / (mean_temperature * wind * wind)
    _, heat = stability(richardson, louis_factor(momentum_log), stable_limit)
    return const.VON_KARMAN**2 * wind * heat / (momentum_log * heat_log)


class Geometry(eqx.Module):
    r"""Factors of one day that multiply or divide the wind; lengths over diffusivity ratios are pure numbers.

    Attributes:
        wind_ratio (cell,): Wind at the reference height over wind at 10 m in the open, 1.
        height_above (cell,): Reference height less top of the canopy, m.
        height_between (cell,): Bottom of the tree layer less top of the low vegetation, m.
        louis_above (cell,): :func:`louis_factor` above the canopy, 1.
        louis_between (cell,): :func:`louis_factor` between the layers, 1.
        log_above (cell,): $\ln\ln/k^2$ between reference height and canopy top, 1.
        diffusion_above (cell,): Path from the top to the middle of the tree layer, 1.
        log_between (cell,): $\ln\ln/k^2$ between both layers over the wind ratio there, 1.
        diffusion_between (cell,): Paths inside both layers between their middles, 1.
        diffusion_below (cell,): Path from the middle to the bottom of the low vegetation, 1.
        leaf_above (cell,): $0.01 \sqrt{r_{12}/l}$ of tree leaves, $r_{12}$ wind in the trees over wind at the
            reference height and l the leaf's length, m-1/2.
        leaf_below (cell,): The same of low vegetation, m-1/2.
        wind_between (cell,): Wind at the bottom of the tree layer over wind at the reference height, 1.
        wind_ground (cell,): Wind just above the ground over wind at the reference height, 1.
        friction (cell,): Friction velocity in neutral air over wind at the reference height, 1.
    """

    wind_ratio: PerCell
    height_above: PerCell
    height_between: PerCell
    louis_above: PerCell
    louis_between: PerCell
    log_above: PerCell
    diffusion_above: PerCell
    log_between: PerCell
    diffusion_between: PerCell
    diffusion_below: PerCell
    leaf_above: PerCell
    leaf_below: PerCell
    wind_between: PerCell
    wind_ground: PerCell
    friction: PerCell


class _Layer(NamedTuple):
    """One layer of vegetation as the wind sees it; all (cell,)."""

    top: PerCell  # effective top, m
    bottom: PerCell  # effective bottom, m
    displacement: PerCell  # displacement height, m
    decay: PerCell  # factor by which the square of the wind decays from the top to the middle, 1
    diffusivity: PerCell  # diffusivity over wind, m
    stress_factor: PerCell  # half the decay rate times the diffusivity, 1


def _layer(two_sided_area: PerCell, top, bottom, ground, ground_displacement) -> _Layer:
    """Drag and diffusion of a layer; a sparse one sinks towards `ground`, the level below which it has no say."""
    density = jnp.minimum(two_sided_area / DRAG_AREA, 3.0)
    presence = jnp.minimum(density, 1.0)
    depth = jnp.maximum(top - bottom, 0.01)
    drag = const.VON_KARMAN / depth * jnp.maximum(density, 1e-5)
    diffusivity = 0.1 * depth / jnp.maximum(jnp.maximum(density, density * density), 1e-5)
    rate = jnp.sqrt(2.0 * drag / diffusivity)
    upper_level = presence * top + (1.0 - presence) * ground
    lower_level = presence * bottom + (1.0 - presence) * ground
    return _Layer(
        top=upper_level,
        bottom=lower_level,
        displacement=0.7 * presence * upper_level + (1.0 - presence) * ground_displacement,
        decay=jnp.exp(0.5 * rate * (upper_level - lower_level)),
        diffusivity=diffusivity,
        stress_factor=0.5 * rate * diffusivity,
    )


def _profile(layer: _Layer, log_below: PerCell) -> tuple[PerCell, tuple[PerCell, PerCell, PerCell], PerCell]:
    """Momentum in a layer over a lower boundary whose wind obeys a log law with `log_below`.

    Returns y (top speed squared times stress factor over the stress on top), the three squared speeds at top, middle
    and bottom, and the stress below, all of them over the stress on top.
    """
    ratio = log_below / const.VON_KARMAN
    x = ratio * ratio * layer.stress_factor
    square = layer.decay * layer.decay
    falling, rising = (x + 1.0) * square, (x - 1.0) / square
    inverse = 1.0 / (falling - rising)
    y = (falling + rising) * inverse
    scale = inverse / layer.stress_factor
    a, b = falling * scale, rising * scale
    speeds = (a + b, a / layer.decay + b * layer.decay, a / square + b * square)
    return y, speeds, 2.0 * inverse


def geometry(
    parameters: vegetation.Parameters,
    canopy: vegetation.Canopy,
    snow_fraction: PerCell,
    sensor_height: PerCell | None = None,
) -> Geometry:
    r"""Profile of neutral wind through both layers of vegetation, and the paths of heat and vapor along it.

    In each layer, drag and vertical diffusion balance, $\partial_z(\kappa u\,\partial_z u) = c\,u^2$, both constant
    with height, so that the square of the wind is a sum of two exponentials $e^{\pm b z}$; logarithmic laws join the
    layers to each other, to the ground and to the air. A layer with few leaves sinks to the ground and disappears.

    The wind at 10 m in the open is taken up to 40 m over short grass and down again over the canopy, because that is
    how wind "at 10 m" of an atmospheric model is made; the reference height is 2 m above the canopy's top, because air
    temperature and humidity are those of a thermometer screen. Where the height of the sensors on a tower in this very
    vegetation is given, it is the reference height, and the wind is that measured there.

    Args:
        parameters: Vegetation of each cell.
        canopy: The day's leaf areas.
        snow_fraction (cell,): Fraction of the ground under snow, 1.
        sensor_height (cell,): Height of the sensors of wind, temperature and humidity above the ground, m, counted as
            at least 0.5 m above the canopy; None for the heights of gridded weather.

    Returns:
        The day's :class:`Geometry`.

    Source:
        pollard1995, section 4e; foley1996. The two reference heights are this project's.
    """
    k = const.VON_KARMAN
    upper_leaf, upper_stem, lower_area = canopy.areas(snow_fraction)
    log_ground = (1.0 - snow_fraction) * jnp.log(SOIL_ROUGHNESS) + snow_fraction * jnp.log(SNOW_ROUGHNESS)
    ground = jnp.exp(log_ground) + 0.01
    lower = _layer(lower_area, parameters.lower_top, parameters.lower_bottom, ground, 0.0)
    upper = _layer(
        upper_leaf + upper_stem, parameters.upper_top, parameters.upper_bottom, lower.top + 0.01, lower.displacement
    )
    lower_log_bottom = jnp.log(lower.bottom) - log_ground
    lower_y, lower_speeds, _ = _profile(lower, lower_log_bottom)
    lower_log_top = jnp.log(lower.top - lower.displacement)
    lower_log_roughness = lower_log_top - k * jnp.sqrt(lower_y / lower.stress_factor)
    log_between = jnp.log(upper.bottom - lower.displacement)
    upper_y, upper_speeds, stress_between = _profile(upper, log_between - lower_log_roughness)
    log_top = jnp.log(upper.top - upper.displacement)
    log_roughness = log_top - k * jnp.sqrt(upper_y / upper.stress_factor)

    if sensor_height is None:
        reference = upper.top + SCREEN_HEIGHT
    else:
        reference = jnp.maximum(sensor_height, upper.top + SENSOR_CLEARANCE)
    log_reference = jnp.log(reference - upper.displacement)
    log_air = log_reference - log_roughness
    if sensor_height is None:
        open_ratio = jnp.log(BLENDING_HEIGHT / GRASS_ROUGHNESS) / jnp.log(10.0 / GRASS_ROUGHNESS)
        blending = jnp.maximum(BLENDING_HEIGHT, reference)
        wind_ratio = open_ratio * log_air / (jnp.log(blending - upper.displacement) - log_roughness)
    else:
        wind_ratio = jnp.ones_like(log_air)
    stress = (k / log_air) ** 2  # over the square of the wind at the reference height
    wind_1, wind_12, wind_2 = (jnp.sqrt(jnp.maximum(stress * speed, 1e-6)) for speed in upper_speeds)
    stress = stress * stress_between
    wind_3, wind_34, wind_4 = (jnp.sqrt(jnp.maximum(stress * speed, 1e-6)) for speed in lower_speeds)
    upper_half, lower_half = 0.5 * (upper.top - upper.bottom), 0.5 * (lower.top - lower.bottom)
    return Geometry(
        wind_ratio=wind_ratio,
        height_above=reference - upper.top,
        height_between=upper.bottom - lower.top,
        louis_above=louis_factor(log_air),
        louis_between=louis_factor(log_between - lower_log_roughness),
        log_above=log_air * (log_reference - log_top) / (k * k),
        diffusion_above=upper_half / (upper.diffusivity * 0.5 * (wind_1 + wind_12)),
        log_between=(log_between - lower_log_roughness) * (log_between - lower_log_top) / (wind_2 * k * k),
        diffusion_between=upper_half / (upper.diffusivity * 0.5 * (wind_12 + wind_2))
        + lower_half / (lower.diffusivity * 0.5 * (wind_3 + wind_34)),
        diffusion_below=lower_half / (lower.diffusivity * 0.5 * (wind_34 + wind_4)),
        leaf_above=LEAF_TRANSFER * jnp.sqrt(wind_12 / UPPER_LEAF_LENGTH),
        leaf_below=LEAF_TRANSFER * jnp.sqrt(wind_34 / LOWER_LEAF_LENGTH),
        wind_between=wind_2,
        wind_ground=wind_4,
        friction=k / log_air,
    )


class Coefficients(eqx.Module):
    """Transfer coefficients of heat and vapor, kg m-2 s-1.

    Attributes:
        above (cell,): Between the air and the air among the trees, per unit land area.
        between (cell,): Between the air among the trees and that in the low vegetation, per unit land area.
        upper_leaf (cell,): Between tree leaves or stems and the air among them, per unit leaf area (one side).
        lower_leaf (cell,): Between low vegetation and the air in it, per unit leaf area (one side).
        soil (cell,): Between soil and the air in the low vegetation, per unit soil area.
        snow (cell,): Between snow and the air in the low vegetation, per unit snow area.
    """

    above: PerCell
    between: PerCell
    upper_leaf: PerCell
    lower_leaf: PerCell
    soil: PerCell
    snow: PerCell


def exchange(
    geometry: Geometry,
    wind: PerCell,
    density: PerCell,
    factors_above: tuple[PerCell, PerCell],
    heat_factor_between: PerCell,
) -> Coefficients:
    r"""Transfer coefficients for a given wind and stability.

    With the wind scale $s = u\sqrt{f_m}$: resistances in series between the levels, each a path over s; leaves
    $0.01\,\rho\,\sqrt{u/l}$; soil $\rho(0.004 + 0.012\,u_4)$, snow $\rho(0.003 + 0.010\,u_4)$.

    Args:
        geometry: The day's :class:`Geometry`.
        wind (cell,): Wind at the reference height u, m s-1, > 0.
        density (cell,): Air density, kg m-3.
        factors_above (cell,): :func:`stability` of momentum and heat above the canopy, 1.
        heat_factor_between (cell,): :func:`stability` of heat between the layers, 1.

    Returns:
        The :class:`Coefficients`.

    Source:
        pollard1995; foley1996; ground terms norman1995.
    """
    g = geometry
    momentum, heat = factors_above
    speed = wind * jnp.sqrt(momentum)
    inverse = 1.0 / speed
    root = density * jnp.sqrt(speed)
    below = g.diffusion_below * inverse
    ground_wind = g.wind_ground * speed
    return Coefficients(
        above=density / (g.log_above / (wind * heat) + g.diffusion_above * inverse),
        between=density * speed / (g.diffusion_between + g.log_between / heat_factor_between),
        upper_leaf=g.leaf_above * root,
        lower_leaf=g.leaf_below * root,
        soil=density / (below + 1.0 / (0.004 + 0.012 * ground_wind)),
        snow=density / (below + 1.0 / (0.003 + 0.010 * ground_wind)),
    )


def reference_wind(geometry: Geometry, wind_speed: PerCell) -> PerCell:
    """Wind at the reference height above the canopy from the wind at 10 m in the open, m s-1.

    Args:
        geometry: The day's :class:`Geometry`.
        wind_speed (cell,): Wind at 10 m, m s-1; counted as at least 0.5.
    """
    return geometry.wind_ratio * jnp.maximum(wind_speed, MINIMUM_WIND)


def richardson_per_kelvin(wind: PerCell, height: PerCell, temperature: PerCell) -> PerCell:
    """Bulk Richardson number per kelvin of virtual temperature by which the upper level is warmer, K-1.

    Args:
        wind (cell,): Wind at the upper level, m s-1, > 0.
        height (cell,): Height of the upper above the lower level, m.
        temperature (cell,): Mean temperature, K.
    """
    return const.GRAVITY * height / (temperature * wind * wind)
