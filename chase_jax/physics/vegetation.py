r"""What grows on a cell: properties of the 24 USGS land-cover classes and the geometry of two layers of leaves.

Every cell carries an *upper* layer (trees, covering the fraction f_u) and a *lower* layer (grass, crops, shrubs or
undergrowth, covering f_l). Leaf areas are one-sided and local to the covered fraction; the areas that exchange heat and
water are two-sided and per unit area of land. Shared formulas and data: no state, no step.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from chase_jax import checks
from chase_jax.typing import CellIndex, PerCell, PerComponentCell, PerLayerCell, PerMonthCell

LOWER_WEIGHT = 0.3  # 1, claim of low vegetation on the leaf area of a cell, per cover, against that of trees
LEAF_AREA_LIMIT = 8.0  # 1, no layer holds more where it grows, however small the fraction it is said to cover
UPPER_STEM_SHARE, LOWER_STEM_SHARE = 0.25, 0.05  # 1, stem over leaf area, foley1996
DECIDUOUS = (11, 12, 15, 18)  # classes whose trees shed their leaves
# Day of the year on which half of the leaves are out and half are shed at 40 degrees of latitude, and days by which it
# shifts per degree; days from the first leaf to the last.
LEAFED, SHED, UNFOLDING = (115.0, 2.5), (290.0, -1.5), 30.0

# Least stomatal resistance (s m-1, per unit leaf area): the geometric mean of the land surface of ECMWF (balsamo2009;
# ifs2021, table 8.1) and of Noah (chen2001), by steps of 5. With the former, which is higher nearly everywhere, rivers
# carried too much water in the mean of small catchments in the United States and in the Moselle.
# Response to light (W m-2) and humidity (kg kg-1), leaf area where plants grow: Noah's vegetation table (chen2001).
# Covered fraction, top and bottom (m) of both layers: Noah-MP's heights (niu2011) for the layer that gives the class
# its name, the other layer and the fractions set here. Root decay per centimetre: jackson1996.
CLASS_COLUMNS = (
    *("minimum_stomatal_resistance", "radiation_half", "humidity_deficit_factor"),
    *("leaf_area_minimum", "leaf_area_maximum"),
    *("upper_fraction", "upper_top", "upper_bottom", "lower_fraction", "lower_top", "lower_bottom", "root_decay"),
)
CLASS_TABLE = {
    1: ("urban", 200.0, 999.0, 999.0, 1.0, 1.0, 0.05, 10.0, 2.0, 0.20, 0.5, 0.05, 0.943),
    2: ("dryland crop", 65.0, 100.0, 36.25, 1.6, 5.7, 0.0, 8.0, 3.0, 0.90, 2.0, 0.10, 0.961),
    3: ("irrigated crop", 65.0, 100.0, 36.25, 1.6, 5.7, 0.0, 8.0, 3.0, 0.90, 2.0, 0.10, 0.961),
    4: ("mixed crop", 65.0, 100.0, 36.25, 1.0, 4.5, 0.0, 8.0, 3.0, 0.90, 2.0, 0.10, 0.961),
    5: ("crop and grass", 65.0, 100.0, 36.25, 2.3, 4.3, 0.05, 8.0, 3.0, 0.85, 1.5, 0.10, 0.955),
    6: ("crop and wood", 110.0, 65.0, 44.14, 2.0, 4.0, 0.30, 8.0, 2.0, 0.80, 1.0, 0.10, 0.963),
    7: ("grass", 65.0, 100.0, 36.35, 0.5, 2.9, 0.0, 8.0, 3.0, 0.80, 1.0, 0.05, 0.943),
    8: ("shrub", 260.0, 100.0, 42.0, 0.5, 3.7, 0.05, 5.0, 2.0, 0.60, 1.1, 0.10, 0.978),
    9: ("shrub and grass", 165.0, 100.0, 39.18, 0.6, 2.6, 0.05, 5.0, 2.0, 0.70, 1.1, 0.10, 0.964),
    10: ("savanna", 100.0, 65.0, 54.53, 0.5, 3.7, 0.20, 10.0, 2.0, 0.80, 1.0, 0.05, 0.972),
    11: ("deciduous broadleaf", 130.0, 30.0, 54.53, 1.9, 3.3, 0.80, 16.0, 11.5, 0.50, 0.5, 0.05, 0.966),
    12: ("deciduous needleleaf", 195.0, 30.0, 47.35, 1.0, 5.2, 0.70, 18.0, 7.0, 0.50, 0.5, 0.05, 0.943),
    13: ("evergreen broadleaf", 190.0, 30.0, 41.69, 3.1, 6.5, 0.95, 20.0, 8.0, 0.40, 0.5, 0.05, 0.962),
    14: ("evergreen needleleaf", 175.0, 30.0, 47.35, 5.0, 6.4, 0.75, 20.0, 8.5, 0.50, 0.5, 0.05, 0.976),
    15: ("mixed forest", 175.0, 30.0, 51.93, 2.8, 5.5, 0.80, 16.0, 10.0, 0.50, 0.5, 0.05, 0.970),
    16: ("water", 999.0, 999.0, 999.0, 0.0, 0.0, 0.0, 8.0, 3.0, 0.0, 0.5, 0.05, 0.943),
    17: ("herbaceous wetland", 100.0, 100.0, 60.0, 1.5, 5.7, 0.0, 8.0, 3.0, 0.80, 0.5, 0.05, 0.943),
    18: ("wooded wetland", 155.0, 30.0, 51.93, 2.0, 5.8, 0.50, 10.0, 2.0, 0.70, 0.5, 0.05, 0.943),
    19: ("barren", 250.0, 999.0, 999.0, 0.1, 0.75, 0.0, 8.0, 3.0, 0.05, 0.2, 0.02, 0.975),
    20: ("herbaceous tundra", 110.0, 100.0, 42.0, 0.4, 3.4, 0.0, 4.0, 2.0, 0.60, 0.5, 0.05, 0.914),
    21: ("wooded tundra", 110.0, 100.0, 42.0, 0.4, 3.4, 0.20, 4.0, 1.0, 0.50, 0.5, 0.05, 0.914),
    22: ("mixed tundra", 110.0, 100.0, 42.0, 0.4, 3.4, 0.05, 4.0, 1.0, 0.50, 0.5, 0.05, 0.914),
    23: ("bare tundra", 125.0, 100.0, 42.0, 0.4, 3.4, 0.0, 4.0, 2.0, 0.15, 0.3, 0.05, 0.914),
    24: ("snow or ice", 999.0, 999.0, 999.0, 0.0, 0.0, 0.0, 8.0, 3.0, 0.0, 0.5, 0.05, 0.943),
}


class Parameters(eqx.Module):
    """Vegetation of each cell; every leaf is differentiable.

    Attributes:
        upper_fraction (cell,): Fraction of the land under trees, 1.
        lower_fraction (cell,): Fraction of the land under low vegetation, 1.
        upper_top (cell,): Top of the tree layer, m.
        upper_bottom (cell,): Bottom of the tree layer, m, above `lower_top`.
        lower_top (cell,): Top of the low vegetation, m.
        lower_bottom (cell,): Bottom of the low vegetation, m.
        minimum_stomatal_resistance (cell,): Resistance of a leaf in the best conditions, s m-1.
        radiation_half (cell,): Radiation at which stomata are about half open, W m-2.
        humidity_deficit_factor (cell,): Response of stomata to the humidity deficit, kg kg-1.
        root_decay (cell,): Factor by which the share of roots still below falls per centimetre of depth, 1.
        upper_leaf_area_maximum (cell,): Greatest leaf area index of the year in the tree layer, local, 1.
        lower_leaf_area_maximum (cell,): Greatest leaf area index of the year in the low vegetation, local, 1.
    """

    upper_fraction: PerCell
    lower_fraction: PerCell
    upper_top: PerCell
    upper_bottom: PerCell
    lower_top: PerCell
    lower_bottom: PerCell
    minimum_stomatal_resistance: PerCell
    radiation_half: PerCell
    humidity_deficit_factor: PerCell
    root_decay: PerCell
    upper_leaf_area_maximum: PerCell
    lower_leaf_area_maximum: PerCell


def _columns(vegetation_class: CellIndex) -> dict[str, np.ndarray]:
    """Columns of the class table for each cell."""
    checks.require_between(vegetation_class, "vegetation_class", 1, 24)
    values = np.array([CLASS_TABLE[number][1:] for number in range(1, 25)], dtype=float)
    rows = np.asarray(vegetation_class, dtype=int) - 1
    return {name: values[rows, column] for column, name in enumerate(CLASS_COLUMNS)}


def _cover(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Fraction of a cell under any vegetation."""
    return 1.0 - (1.0 - columns["upper_fraction"]) * (1.0 - columns["lower_fraction"])


def from_class(vegetation_class: CellIndex, leaf_area_index: PerMonthCell | None = None) -> Parameters:
    """Vegetation parameters of the USGS 24-class legend.

    Args:
        vegetation_class (cell,): Class, 1 to 24.
        leaf_area_index (month, cell): Leaf area index of the whole cell through the year, 1; the class's if left out.

    Returns:
        The :class:`Parameters`.

    Raises:
        InputError: If a class is not in the legend.

    Source:
        chen2001, niu2011, jackson1996.
    """
    columns = _columns(vegetation_class)
    columns.pop("leaf_area_minimum")
    maximum = columns.pop("leaf_area_maximum") * _cover(columns)
    if leaf_area_index is not None:
        maximum = np.max(np.asarray(leaf_area_index), axis=0)
    upper, lower = _split(maximum, columns["upper_fraction"], columns["lower_fraction"])
    leaves = {name: jnp.asarray(value) for name, value in columns.items()}
    return Parameters(upper_leaf_area_maximum=upper, lower_leaf_area_maximum=lower, **leaves)


def with_height(parameters: Parameters, height: PerCell) -> Parameters:
    """The same plants with low vegetation of another height; its bottom keeps its share of the top.

    Args:
        parameters: Vegetation of each cell.
        height (cell,): Top of the low vegetation, m.
    """
    bottom = parameters.lower_bottom * height / parameters.lower_top
    return eqx.tree_at(lambda p: (p.lower_top, p.lower_bottom), parameters, (height, bottom))


def season(vegetation_class: CellIndex | np.ndarray, latitude: PerCell | np.ndarray) -> np.ndarray:
    r"""Course of the leaf area from its least (0) to its greatest (1) in the middle of each month, (month, cell), 1.

    A cosine with its top in July north of the equator and in January south of it; trees that shed their leaves have
    them from spring to autumn and none in between. Towards the equator both fade to their middle.

    Args:
        vegetation_class (cell,): USGS class, 1 to 24.
        latitude (cell,): Latitude, degrees north.

    Source:
        This project's.
    """
    degrees = np.asarray(latitude, dtype=float)
    month = np.arange(12.0)[:, None] + np.where(degrees < 0.0, 6.0, 0.0)
    wave = np.cos(2.0 * np.pi * (month - 6.0) / 12.0)
    day = np.mod((month + 0.5) * 365.0 / 12.0, 365.0)
    leafed, shed = (middle + shift * (np.abs(degrees) - 40.0) for middle, shift in (LEAFED, SHED))
    out = np.clip(2.0 * np.minimum(day - leafed, shed - day) / UNFOLDING, -1.0, 1.0)
    strength = np.clip(np.abs(degrees) / 23.5, 0.0, 1.0)
    return 0.5 + 0.5 * strength * np.where(np.isin(vegetation_class, DECIDUOUS), out, wave)


def leaf_area_climatology(vegetation_class: CellIndex, latitude: PerCell) -> PerMonthCell:
    r"""Default seasonal cycle of the leaf area index: :func:`season` between the class's bounds.

    Args:
        vegetation_class (cell,): USGS class, 1 to 24.
        latitude (cell,): Latitude, degrees north.

    Returns:
        (month, cell): Leaf area index of the whole cell in the middle of each month, 1.

    Source:
        Bounds from chen2001; the shape is this project's.
    """
    columns = _columns(vegetation_class)
    low, high = columns["leaf_area_minimum"] * _cover(columns), columns["leaf_area_maximum"] * _cover(columns)
    return jnp.asarray(low + (high - low) * season(vegetation_class, latitude))


def _split(leaf_area_index, upper_fraction, lower_fraction):
    """Leaf area of both layers, local to what they cover."""
    claim = upper_fraction + LOWER_WEIGHT * lower_fraction
    # the claims of both layers are proportional to what they cover, so the fraction cancels out of area per cover
    upper = leaf_area_index / jnp.where(claim > 0.0, claim, 1.0)
    lower = jnp.minimum(LOWER_WEIGHT * upper, LEAF_AREA_LIMIT)
    upper = jnp.minimum(upper, LEAF_AREA_LIMIT)
    return jnp.where(upper_fraction > 0.0, upper, 0.0), jnp.where(lower_fraction > 0.0, lower, 0.0)


class Canopy(eqx.Module):
    """Leaf and stem areas of one day, and how much of what falls they meet.

    Attributes:
        upper_leaf (cell,): One-sided leaf area of trees per area they cover, 1.
        upper_stem (cell,): The same of their stems, 1.
        lower_leaf (cell,): One-sided leaf area of low vegetation per area it covers, 1.
        lower_stem (cell,): The same of its stems, 1.
        upper_fraction (cell,): Fraction of the land under trees, 1.
        lower_fraction (cell,): Fraction of the land under low vegetation, before snow buries it, 1.
        upper_leaf_catch (cell,): Share of what falls on tree leaves that meets one, $1-e^{-L}$, 1.
        upper_stem_catch (cell,): The same for stems, 1.
        lower_catch (cell,): The same for low vegetation, leaves and stems, 1.
    """

    upper_leaf: PerCell
    upper_stem: PerCell
    lower_leaf: PerCell
    lower_stem: PerCell
    upper_fraction: PerCell
    lower_fraction: PerCell
    upper_leaf_catch: PerCell
    upper_stem_catch: PerCell
    lower_catch: PerCell

    def areas(self, snow_fraction: PerCell) -> tuple[PerCell, PerCell, PerCell]:
        """Two-sided areas of upper leaves, upper stems and low vegetation not under snow, per unit land area, 1.

        Args:
            snow_fraction (cell,): Fraction of the ground under snow, 1.
        """
        lower_cover = self.lower_fraction * (1.0 - snow_fraction)
        return (
            2.0 * self.upper_leaf * self.upper_fraction,
            2.0 * self.upper_stem * self.upper_fraction,
            2.0 * (self.lower_leaf + self.lower_stem) * lower_cover,
        )


def canopy(parameters: Parameters, leaf_area_index: PerCell) -> Canopy:
    r"""Leaf and stem areas of both layers from the leaf area index of the cell.

    Trees claim f_u, low vegetation 0.3 f_l of the cell's leaf area; dividing by what each covers,
    $L_u = \mathrm{LAI}/(f_u + 0.3 f_l)$ and $L_l = 0.3 L_u$, neither above 8. Stems
    are a quarter of the year's greatest leaf area in trees, so that bare trees keep them, and a twentieth of today's in
    low vegetation.

    Args:
        parameters: Vegetation of each cell.
        leaf_area_index (cell,): One-sided leaf area of the whole cell today, 1.

    Returns:
        The day's :class:`Canopy`.

    Source:
        Stem shares from foley1996; the split is this project's.
    """
    p = parameters
    upper, lower = _split(leaf_area_index, p.upper_fraction, p.lower_fraction)
    upper_stem, lower_stem = UPPER_STEM_SHARE * p.upper_leaf_area_maximum, LOWER_STEM_SHARE * lower
    return Canopy(
        upper_leaf=upper,
        upper_stem=upper_stem,
        lower_leaf=lower,
        lower_stem=lower_stem,
        upper_fraction=p.upper_fraction,
        lower_fraction=p.lower_fraction,
        upper_leaf_catch=-jnp.expm1(-upper),
        upper_stem_catch=-jnp.expm1(-upper_stem),
        lower_catch=-jnp.expm1(-(lower + lower_stem)),
    )


def maximum_areas(parameters: Parameters) -> PerComponentCell:
    """Two-sided areas of upper leaves, upper stems and low vegetation at the year's greatest, per unit land area, 1.

    Args:
        parameters: Vegetation of each cell.
    """
    p = parameters
    upper = 2.0 * p.upper_leaf_area_maximum * p.upper_fraction
    lower = 2.0 * (1.0 + LOWER_STEM_SHARE) * p.lower_leaf_area_maximum * p.lower_fraction
    return jnp.stack([upper, UPPER_STEM_SHARE * upper, lower])


def root_fraction(parameters: Parameters, layer_thickness: tuple[float, ...]) -> PerLayerCell:
    r"""Share of the roots in each soil layer, from the cumulative share $1 - \beta^{100 z}$ made to end at the bottom.

    Args:
        parameters: Vegetation of each cell.
        layer_thickness: Thickness of the soil layers from the top, m.

    Returns:
        (layer, cell): Share of the roots, 1; sums to 1.

    Source:
        jackson1996, eq. 1.
    """
    bounds = 100.0 * np.concatenate([[0.0], np.cumsum(layer_thickness)])
    depth = jnp.asarray(bounds, parameters.root_decay.dtype)
    below = jnp.exp(depth[:, None] * jnp.log(parameters.root_decay)[None, :])
    return (below[:-1] - below[1:]) / (1.0 - below[-1])
