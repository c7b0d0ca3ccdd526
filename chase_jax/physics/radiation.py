"""Where the sunlight goes: two layers of vegetation over soil and snow.

The lower vegetation stands on soil; it, bare soil and snow together make the ground, which the upper vegetation covers
in part. What does not depend on the sun is computed once a day (:func:`canopy_optics`), the rest in each sub-step
(:func:`absorb`) at the cost of one exponential per layer. What is absorbed and what is reflected add up to what comes
in, to rounding. Neglected: clumping of leaves, spectral change within a band, rough terrain.

Source:
    pollard1995 (the arrangement of layers in LSX).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.physics.atmosphere import Air
from chase_jax.physics.two_stream import COSINE_FLOOR, LayerOptics, Leaves, beam_through, layer_optics, over
from chase_jax.typing import PerCell

# Optics of leaves, all in 1, from foley1996.
UPPER_LEAVES = Leaves(reflectance=(0.10, 0.40), transmittance=(0.05, 0.20), vertical_share=0.0)
LOWER_LEAVES = Leaves(reflectance=(0.10, 0.60), transmittance=(0.07, 0.25), vertical_share=0.5)

SOIL_SAND, SOIL_SILT, SOIL_CLAY = 0.120, 0.085, 0.050  # 1, visible albedo of moist soil (pollard1995)
SOIL_INFRARED_RATIO = 2.0  # 1, infrared over visible albedo
SOIL_DRY_RISE, SOIL_DARKENING = 0.11, 0.40  # 1, brightening of dry soil, and how fast water takes it away, lawrence2019
SNOW_ALBEDO_LIMIT = 0.99  # 1, of direct light at low sun


class Albedo(eqx.Module):
    """Reflectance of a surface for diffuse light.

    Attributes:
        visible (cell,): Below 0.7 micrometres, 1.
        infrared (cell,): Above 0.7 micrometres, 1.
    """

    visible: PerCell
    infrared: PerCell


class CanopyOptics(eqx.Module):
    """Both layers.

    Attributes:
        upper: :class:`LayerOptics` of the trees.
        lower: :class:`LayerOptics` of shrubs, grass and crops.
    """

    upper: LayerOptics
    lower: LayerOptics


class Shortwave(eqx.Module):
    """Where the sunlight goes, per unit area of the land tile.

    Attributes:
        upper_leaf (cell,): Absorbed by the leaves of the upper layer, W m-2.
        upper_stem (cell,): Absorbed by the stems of the upper layer, W m-2.
        lower (cell,): Absorbed by the lower layer, W m-2.
        soil (cell,): Absorbed by soil, W m-2.
        snow (cell,): Absorbed by snow on the ground, W m-2.
        reflected (cell,): Sent back to the sky, W m-2.
        upper_leaf_visible (cell,): That part of `upper_leaf` which photosynthesis can use, W m-2.
        lower_leaf_visible (cell,): That part of `lower` which its leaves absorb and photosynthesis can use, W m-2.
    """

    upper_leaf: PerCell
    upper_stem: PerCell
    lower: PerCell
    soil: PerCell
    snow: PerCell
    reflected: PerCell
    upper_leaf_visible: PerCell
    lower_leaf_visible: PerCell


def soil_albedo(sand: PerCell, clay: PerCell, moisture: PerCell) -> Albedo:
    r"""Albedo of soil by texture, higher where it is dry.

    $$ a = a_s + \min\big(\max(0.11 - 0.40\,\theta, 0),\ a_s\big) $$

    in both bands, with $a_s$ of moist soil, in the infrared twice that in the visible. Drying adds the same to both,
    so that dry sand does not reflect a third of the sunlight.

    Args:
        sand (cell,): Mass fraction of sand, 1.
        clay (cell,): Mass fraction of clay, 1; the rest counts as silt.
        moisture (cell,): Volume fraction of liquid water in the top layer theta, 1.

    Returns:
        The :class:`Albedo`, of direct as of diffuse light.

    Source:
        pollard1995 (moist soil), lawrence2019 (drying).
    """
    moist = SOIL_SAND * sand + SOIL_SILT * (1.0 - sand - clay) + SOIL_CLAY * clay
    rise = jnp.maximum(SOIL_DRY_RISE - SOIL_DARKENING * moisture, 0.0)
    return Albedo(*(a + jnp.minimum(rise, a) for a in (moist, SOIL_INFRARED_RATIO * moist)))


def snow_direct_albedo(albedo: PerCell, cosine_zenith: PerCell) -> PerCell:
    r"""Albedo of snow for direct light, $a + (1 - a)\max(0, 1.5/(1 + 4\mu) - 0.5)$, higher when the sun is low, 1.

    Args:
        albedo (cell,): Albedo for diffuse light a, 1.
        cosine_zenith (cell,): Cosine of the solar zenith angle, 1.

    Source:
        pollard1995.
    """
    mu = jnp.maximum(cosine_zenith, COSINE_FLOOR)
    return jnp.minimum(albedo + (1.0 - albedo) * jnp.maximum(1.5 / (1.0 + 4.0 * mu) - 0.5, 0.0), SNOW_ALBEDO_LIMIT)


def canopy_optics(
    upper_leaf_area: PerCell,
    upper_stem_area: PerCell,
    lower_leaf_area: PerCell,
    lower_stem_area: PerCell,
    upper_snow: PerCell | float,
    lower_snow: PerCell | float,
    upper_temperature: PerCell | float = const.MELTING_TEMPERATURE,
    lower_temperature: PerCell | float = const.MELTING_TEMPERATURE,
) -> CanopyOptics:
    """All that does not depend on where the sun stands; once a day.

    Args:
        upper_leaf_area (cell,): One-sided leaf area of the upper layer over the ground it covers, 1.
        upper_stem_area (cell,): One-sided stem area likewise, 1.
        lower_leaf_area (cell,): One-sided leaf area of the lower layer over the ground it covers, 1.
        lower_stem_area (cell,): One-sided stem area likewise, 1.
        upper_snow (cell,): Share of the upper layer's area that snow covers, 1.
        lower_snow (cell,): Share of the lower layer's area that snow covers, 1.
        upper_temperature (cell,): Temperature of the upper layer, K.
        lower_temperature (cell,): Temperature of the lower layer, K.

    Returns:
        The :class:`CanopyOptics`.

    Source:
        pollard1995 (snow on leaves).
    """
    return CanopyOptics(
        upper=layer_optics(UPPER_LEAVES, upper_leaf_area, upper_stem_area, upper_snow, upper_temperature),
        lower=layer_optics(LOWER_LEAVES, lower_leaf_area, lower_stem_area, lower_snow, lower_temperature),
    )


def absorb(
    optics: CanopyOptics,
    air: Air,
    upper_cover: PerCell,
    lower_cover: PerCell,
    snow_fraction: PerCell,
    soil: Albedo,
    snow: Albedo,
) -> Shortwave:
    """Sunlight absorbed by each part of the land tile; in each sub-step, and skipped where the sun shines nowhere.

    Args:
        optics: Optics of the two layers.
        air: Light from the sky and the sun's elevation.
        upper_cover (cell,): Share of the land tile that the upper layer covers, 1.
        lower_cover (cell,): Share that the lower layer covers where it stands out of the snow, 1, at most
            1 - `snow_fraction`.
        snow_fraction (cell,): Share of the ground that snow covers, 1.
        soil: Albedo of soil.
        snow: Albedo of snow on the ground for diffuse light.

    Returns:
        The :class:`Shortwave`, whose absorbed and reflected parts add up to the incoming light.

    Source:
        pollard1995 (the arrangement of layers).
    """
    incoming = air.direct_visible + air.diffuse_visible + air.direct_infrared + air.diffuse_infrared
    arguments = optics, air, upper_cover, lower_cover, snow_fraction, soil, snow
    return jax.lax.cond(jnp.any(incoming > 0.0), _by_day, _by_night, *arguments)


class _Parts(NamedTuple):
    """Light of one band, W m-2 of the land tile."""

    upper: PerCell
    lower: PerCell
    soil: PerCell
    snow: PerCell
    reflected: PerCell


def _by_night(optics: CanopyOptics, air: Air, *_: object) -> Shortwave:
    return Shortwave(*[jnp.zeros_like(air.direct_visible)] * 8)


def _by_day(
    optics: CanopyOptics,
    air: Air,
    upper_cover: PerCell,
    lower_cover: PerCell,
    snow_fraction: PerCell,
    soil: Albedo,
    snow: Albedo,
) -> Shortwave:
    covers = upper_cover, lower_cover, snow_fraction
    visible = _band(0, air.direct_visible, air.diffuse_visible, optics, air, covers, soil.visible, snow.visible)
    infrared = _band(1, air.direct_infrared, air.diffuse_infrared, optics, air, covers, soil.infrared, snow.infrared)
    total = _Parts(*(v + i for v, i in zip(visible, infrared, strict=True)))
    upper_leaf = optics.upper.leaf_share * total.upper
    return Shortwave(
        upper_leaf=upper_leaf,
        upper_stem=total.upper - upper_leaf,
        lower=total.lower,
        soil=total.soil,
        snow=total.snow,
        reflected=total.reflected,
        upper_leaf_visible=optics.upper.leaf_share * visible.upper,
        lower_leaf_visible=optics.lower.leaf_share * visible.lower,
    )


def _band(
    band: int,
    direct: PerCell,
    diffuse: PerCell,
    optics: CanopyOptics,
    air: Air,
    covers: tuple[PerCell, PerCell, PerCell],
    soil: PerCell,
    snow: PerCell,
) -> _Parts:
    upper_cover, lower_cover, snow_fraction = covers
    upper_band, lower_band = optics.upper.bands[band], optics.lower.bands[band]
    upper_beam = beam_through(UPPER_LEAVES, optics.upper.area, upper_band, air.cosine_zenith)
    lower_beam = beam_through(LOWER_LEAVES, optics.lower.area, lower_band, air.cosine_zenith)
    snow_direct = snow_direct_albedo(snow, air.cosine_zenith)
    bare = 1.0 - snow_fraction - lower_cover

    lower = over(lower_beam, lower_band, soil, soil)
    ground_direct = lower_cover * lower.reflected_direct + snow_fraction * snow_direct + bare * soil
    ground_diffuse = lower_cover * lower.reflected_diffuse + snow_fraction * snow + bare * soil
    upper = over(upper_beam, upper_band, ground_direct, ground_diffuse)

    # Light on its way down between the layers, and on the soil under the lower one.
    beam = direct * (1.0 - upper_cover * (1.0 - upper.beam))
    glow = diffuse * (1.0 - upper_cover * (1.0 - upper.below_diffuse)) + direct * upper_cover * upper.below_direct
    below = beam * (lower.beam + lower.below_direct) + glow * lower.below_diffuse

    sent_back = direct * upper.reflected_direct + diffuse * upper.reflected_diffuse
    passed_on = (1.0 - ground_direct) * direct * upper.beam
    passed_on += (1.0 - ground_diffuse) * (direct * upper.below_direct + diffuse * upper.below_diffuse)
    sent_back_below = beam * lower.reflected_direct + glow * lower.reflected_diffuse
    return _Parts(
        upper=upper_cover * (direct + diffuse - sent_back - passed_on),
        lower=lower_cover * (beam + glow - sent_back_below - (1.0 - soil) * below),
        soil=(1.0 - soil) * (bare * (beam + glow) + lower_cover * below),
        snow=snow_fraction * ((1.0 - snow_direct) * beam + (1.0 - snow) * glow),
        reflected=upper_cover * sent_back + (1.0 - upper_cover) * (direct * ground_direct + diffuse * ground_diffuse),
    )
