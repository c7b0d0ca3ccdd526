r"""Longwave radiation between sky, two layers of leaves, soil and snow: shared formulas, no state, no step.

A layer of leaves is a black plane with holes, of emissivity $1 - e^{-L}$ where it grows; leaves and stems of trees
share one plane in proportion to their areas. Soil and snow are grey and reflect the rest upwards. Low vegetation stands
on soil only, trees on both.
"""

from __future__ import annotations

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.numerics.fence import fenced
from chase_jax.physics import vegetation
from chase_jax.typing import PerCell

GROUND_EMISSIVITY = 0.95  # 1, soil and snow, foley1996


@fenced()
def exchange(
    temperatures: tuple[PerCell, ...],
    sky: PerCell,
    canopy: vegetation.Canopy,
    areas: tuple[PerCell, PerCell, PerCell],
    snow_fraction: PerCell,
) -> tuple[tuple[PerCell, ...], tuple[PerCell, ...]]:
    r"""Net longwave of upper leaves, upper stems, low vegetation, soil and snow.

    Args:
        temperatures: The five temperatures, each (cell,), K.
        sky (cell,): Longwave from the sky, W m-2.
        canopy: The day's leaf areas.
        areas: Two-sided areas of the three canopy components per unit land area, each (cell,), 1.
        snow_fraction (cell,): Fraction of the ground under snow, 1.

    Returns:
        Absorbed less emitted, five times (cell,), W m-2, which add up to what the sky sends less what it gets; and how
        fast each falls with its own temperature, W m-2 K-1.

    Source:
        pollard1995; foley1996.
    """
    black = [const.STEFAN_BOLTZMANN * (t * t) * (t * t) for t in temperatures]
    slopes = [4.0 * b / t for b, t in zip(black, temperatures, strict=True)]
    # emissivities per unit land area (trees) and per unit snow-free ground (low vegetation)
    upper = canopy.upper_fraction * (1.0 - (1.0 - canopy.upper_leaf_catch) * (1.0 - canopy.upper_stem_catch))
    leaf = upper * smooth.safe_divide(areas[0], areas[0] + areas[1])
    stem = upper - leaf
    lower = canopy.lower_fraction * canopy.lower_catch
    bare = 1.0 - snow_fraction
    ground, reflectance = GROUND_EMISSIVITY, 1.0 - GROUND_EMISSIVITY
    below_trees = (1.0 - upper) * sky + leaf * black[0] + stem * black[1]
    on_soil = (1.0 - lower) * below_trees + lower * black[2]
    from_soil = reflectance * on_soil + ground * black[3]
    from_snow = reflectance * below_trees + ground * black[4]
    upwards = bare * ((1.0 - lower) * from_soil + lower * black[2]) + snow_fraction * from_snow
    net = (
        leaf * (sky + upwards - 2.0 * black[0]),
        stem * (sky + upwards - 2.0 * black[1]),
        bare * lower * (below_trees + from_soil - 2.0 * black[2]),
        bare * ground * (on_soil - black[3]),
        snow_fraction * ground * (below_trees - black[4]),
    )
    weights = (2.0 * leaf, 2.0 * stem, 2.0 * bare * lower, bare * ground, snow_fraction * ground)
    return net, tuple(weight * slope for weight, slope in zip(weights, slopes, strict=True))
