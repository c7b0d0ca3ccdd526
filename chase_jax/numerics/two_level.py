r"""Exact elimination of surfaces that exchange heat and vapor with two stacked levels of air.

Each surface knows its own level only, so its temperature is eliminated by hand; what is left is one 2 x 2 block (heat,
vapor) per level, coupled by a ventilation that is the same for both. No pivoting is needed: the blocks are diagonally
dominant for non-negative coefficients.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.fence import fenced
from chase_jax.typing import PerCell


class Row(NamedTuple):
    """Linearised balance of one surface: T - T* = increment + per_kelvin (T_n - T_a) + per_humidity (q_n - q_a).

    T* is the temperature it is linearised at, T_a and q_a are the air above, T_n and q_n the surface's level of air.
    """

    heat: PerCell  # coefficient A, kg m-2 s-1
    vapor: PerCell  # coefficient W + V, kg m-2 s-1
    warmth: PerCell  # T* - T_a, K
    humidity: PerCell  # q* - q_a, 1
    slope: PerCell  # dq*/dT, K-1
    increment: PerCell  # K
    per_kelvin: PerCell  # 1
    per_humidity: PerCell  # K

    def change(self, warmth: PerCell, humidity: PerCell) -> PerCell:
        """Change of the surface's own temperature T - T*, K.

        Args:
            warmth (cell,): Warmth of the level's air T_n - T_a, K.
            humidity (cell,): Its humidity against the air above q_n - q_a, 1.
        """
        return self.increment + self.per_kelvin * warmth + self.per_humidity * humidity


def row(
    surplus: PerCell,
    stiffness: PerCell,
    heat: PerCell,
    vapor: PerCell,
    latent: PerCell,
    warmth: PerCell,
    humidity: PerCell,
    slope: PerCell,
) -> Row:
    """Solve one surface for its own temperature.

    Args:
        surplus (cell,): Heat it would gain at T* without turbulence, W m-2.
        stiffness (cell,): How fast that falls with its temperature, W m-2 K-1, >= 0.
        heat (cell,): Coefficient of heat A, kg m-2 s-1, >= 0.
        vapor (cell,): Coefficient of vapor, kg m-2 s-1, >= 0.
        latent (cell,): Sum of vapor coefficients times what each kilogram takes along, W m-2, >= 0.
        warmth (cell,): T* - T_a, K.
        humidity (cell,): q* - q_a, 1.
        slope (cell,): dq*/dT, K-1.
    """
    sensible = const.SPECIFIC_HEAT_AIR * heat
    inverse = 1.0 / jnp.maximum(stiffness + sensible + latent * slope, 1e-12)  # zero only where the surface is absent
    increment = (surplus - sensible * warmth - latent * humidity) * inverse
    return Row(heat, vapor, warmth, humidity, slope, increment, sensible * inverse, latent * inverse)


def _level(rows, ventilation):
    """Sum the rows of the surfaces in one level of air: its 2 x 2 matrix and its sources of heat and vapor."""
    tt, tq, qt, qq = ventilation, 0.0, 0.0, ventilation
    heat_source, vapor_source = 0.0, 0.0
    for row in rows:
        tt = tt + row.heat * (1.0 - row.per_kelvin)
        tq = tq - row.heat * row.per_humidity
        qt = qt - row.vapor * row.slope * row.per_kelvin
        qq = qq + row.vapor * (1.0 - row.slope * row.per_humidity)
        heat_source = heat_source + row.heat * (row.warmth + row.increment)
        vapor_source = vapor_source + row.vapor * (row.humidity + row.slope * row.increment)
    return (tt, tq, qt, qq), (heat_source, vapor_source)


def _inverse(matrix):
    """Inverse of a 2 x 2 matrix given by rows."""
    a, b, c, d = matrix
    scale = 1.0 / (a * d - b * c)
    return d * scale, -b * scale, -c * scale, a * scale


def _apply(matrix, vector):
    """A 2 x 2 matrix times a vector."""
    a, b, c, d = matrix
    return a * vector[0] + b * vector[1], c * vector[0] + d * vector[1]


@fenced()
def solve_air(
    above: PerCell, between: PerCell, upper: list[Row], lower: list[Row]
) -> tuple[tuple[PerCell, PerCell], tuple[PerCell, PerCell]]:
    """Warmth (K) and humidity (1), against the air above, of the upper and of the lower level of air.

    Args:
        above (cell,): Ventilation of the upper level with the air above, kg m-2 s-1, > 0.
        between (cell,): Ventilation between both levels, kg m-2 s-1, > 0.
        upper: Rows of the surfaces in the upper level.
        lower: Rows of the surfaces in the lower level.
    """
    upper_matrix, upper_source = _level(upper, above + between)
    lower_matrix, lower_source = _level(lower, between)
    inverse = _inverse(upper_matrix)
    from_above = _apply(inverse, upper_source)
    a, b, c, d = lower_matrix
    p, q, r, s = inverse
    square = between * between
    reduced = (a - square * p, b - square * q, c - square * r, d - square * s)
    lower_air = _apply(
        _inverse(reduced), (lower_source[0] + between * from_above[0], lower_source[1] + between * from_above[1])
    )
    fed = _apply(inverse, lower_air)
    return (from_above[0] + between * fed[0], from_above[1] + between * fed[1]), lower_air
