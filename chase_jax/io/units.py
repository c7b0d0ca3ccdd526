"""Units: from what a file says to the canonical unit of the table of variables.

A unit is a product of symbols with whole exponents, in the spellings data sets use: `kg m-2 s-1`, `kg/m^2/s`,
`mm d-1`, `mm/day`, `W m**-2`, `degree_Celsius`, `hPa`, `g/kg`, `%`. It is read by a small grammar over a fixed table of
symbols; nothing is guessed. A depth of water (mm, m) and a mass per area (kg m-2) convert into each other with the
density of water.
"""

from __future__ import annotations

import re

import numpy as np

from chase_jax.checks import InputError
from chase_jax.constants import SECONDS_PER_DAY, WATER_DENSITY

Dimension = tuple[int, int, int, int]  # exponents of kg, m, s, K

DIMENSIONLESS: Dimension = (0, 0, 0, 0)
DAYS_PER_YEAR = 365.25

_PLAIN: Dimension = DIMENSIONLESS
_MASS: Dimension = (1, 0, 0, 0)
_LENGTH: Dimension = (0, 1, 0, 0)
_AREA: Dimension = (0, 2, 0, 0)
_TIME: Dimension = (0, 0, 1, 0)
_TEMPERATURE: Dimension = (0, 0, 0, 1)
_PRESSURE: Dimension = (1, -1, -2, 0)
_POWER: Dimension = (1, 2, -3, 0)
_ENERGY: Dimension = (1, 2, -2, 0)

SYMBOLS: dict[str, tuple[float, Dimension]] = {
    **dict.fromkeys(("1", "fraction", "dimensionless", "unitless"), (1.0, _PLAIN)),
    **dict.fromkeys(("%", "percent"), (0.01, _PLAIN)),
    "kg": (1.0, _MASS),
    "g": (1e-3, _MASS),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), (1.0, _LENGTH)),
    "mm": (1e-3, _LENGTH),
    "cm": (1e-2, _LENGTH),
    "km": (1e3, _LENGTH),
    "ha": (1e4, _AREA),
    **dict.fromkeys(("s", "sec", "second", "seconds"), (1.0, _TIME)),
    **dict.fromkeys(("min", "minute", "minutes"), (60.0, _TIME)),
    **dict.fromkeys(("h", "hr", "hour", "hours"), (3600.0, _TIME)),
    **dict.fromkeys(("d", "day", "days"), (SECONDS_PER_DAY, _TIME)),
    **dict.fromkeys(("a", "yr", "year", "years"), (DAYS_PER_YEAR * SECONDS_PER_DAY, _TIME)),
    **dict.fromkeys(("K", "kelvin", "Kelvin"), (1.0, _TEMPERATURE)),
    **dict.fromkeys(("Pa", "pascal"), (1.0, _PRESSURE)),
    **dict.fromkeys(("hPa", "mb", "mbar", "millibar"), (100.0, _PRESSURE)),
    "kPa": (1e3, _PRESSURE),
    "bar": (1e5, _PRESSURE),
    **dict.fromkeys(("W", "watt"), (1.0, _POWER)),
    "kW": (1e3, _POWER),
    "J": (1.0, _ENERGY),
    "kJ": (1e3, _ENERGY),
    "MJ": (1e6, _ENERGY),
}

CELSIUS = ("degC", "deg_C", "degree_C", "celsius", "Celsius", "degree_Celsius", "degrees_Celsius", "degree_celsius",
           "degrees_celsius", "deg C", "C", "°C")  # fmt: skip
CELSIUS_ZERO = 273.15  # K

EXAMPLES: dict[str, str] = {
    "kg m-2 s-1": "kg m-2 s-1, mm/day, mm d-1, mm/h, m s-1",
    "K": "K, degree_Celsius, degC",
    "Pa": "Pa, hPa, mb, kPa",
    "W m-2": "W m-2, J m-2 day-1, MJ m-2 day-1",
    "m s-1": "m s-1, m/s, km/h, m/day",
    "m": "m, cm, mm, km",
    "m2": "m2, km2, ha",
    "m3 s-1": "m3 s-1, m3/s, m3 day-1",
    "1": "1, %, g/kg, kg/kg",
    "kg m-2 year-1": "kg m-2 year-1, mm/year, mm/day",
}


def parse(units: str) -> tuple[float, Dimension]:
    """Factor to SI and dimension of a unit without an offset.

    Args:
        units: The text of a `units` attribute, for example "mm/day".

    Returns:
        The number of SI units in one such unit, and the exponents of kg, m, s and K.

    Raises:
        InputError: If a symbol is not known or the text is not a product of symbols.
    """
    text = units.strip().replace("**", "^").replace("·", " ").replace("*", " ").replace("²", "2").replace("³", "3")
    factor, dimension, inverse = 1.0, DIMENSIONLESS, False
    for token in re.findall(r"/|[^\s/]+", text):
        if token == "/":  # noqa: S105  a division sign, no secret
            inverse = True
            continue
        match = re.fullmatch(r"([A-Za-z]+|%|1)(?:\^?([+-]?\d+))?", token)
        if not match or match[1] not in SYMBOLS:
            raise InputError(f"the unit '{units}' is not understood at '{token}'")
        exponent = int(match[2] or 1) * (-1 if inverse else 1)
        size, axes = SYMBOLS[match[1]]
        factor *= size**exponent
        dimension = tuple(d + exponent * a for d, a in zip(dimension, axes, strict=True))  # type: ignore[assignment]
        inverse = False
    return factor, dimension


def conversion(found: str, wanted: str) -> tuple[float, float]:
    """Factor and offset that take a value from one unit to another: `wanted = factor * found + offset`.

    Args:
        found: The unit of the file.
        wanted: The canonical unit.

    Returns:
        The factor and the offset.

    Raises:
        InputError: If the units are not known or measure different things.
    """
    if found.strip() == wanted:
        return 1.0, 0.0
    if found.strip() in CELSIUS and wanted == "K":
        return 1.0, CELSIUS_ZERO
    allowed = f"allowed are {EXAMPLES.get(wanted, wanted)}"
    if wanted == "s m-1/3" or wanted.startswith("degree"):
        raise InputError(f"the unit '{found}' is not '{wanted}'")
    try:
        factor, dimension = parse(found)
    except InputError as error:
        raise InputError(f"{error}; {allowed}") from None
    target, target_dimension = parse(wanted)
    thickness = tuple(f - t for f, t in zip(dimension, target_dimension, strict=True))
    if thickness == (-1, 3, 0, 0):  # metres of water where kg m-2 is wanted
        return factor * WATER_DENSITY / target, 0.0
    if thickness == (1, -3, 0, 0):
        return factor / WATER_DENSITY / target, 0.0
    if any(thickness):
        raise InputError(f"the unit '{found}' does not measure the same thing as '{wanted}'; {allowed}")
    return factor / target, 0.0


def convert(values: np.ndarray, found: str, wanted: str) -> np.ndarray:
    """Values of any shape in the unit `wanted`; the very same array if nothing changes."""
    factor, offset = conversion(found, wanted)
    if factor == 1.0 and offset == 0.0:
        return values
    return np.asarray(values, dtype=float) * factor + offset
