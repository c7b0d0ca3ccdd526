"""Monthly climate and altitude of eastern Asia on coarse grids, from a file or, without it, from smooth formulas."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from chase_jax.physics.elevation import LAPSE_RATE
from data_prep import rawfiles

FILE, MASK = "china_box_climatology.nc", "china_landmask_30s.nc"
SOUTH, NORTH, WEST, EAST = 17.5, 54.5, 72.5, 135.5  # degrees, where all maps are known


@dataclass(frozen=True)
class Layer:
    """A map in degrees.

    Attributes:
        values (..., lat, lon): Values of any unit.
        lat (lat,): Latitude, degree north, evenly spaced.
        lon (lon,): Longitude, degree east, evenly spaced.
    """

    values: np.ndarray
    lat: np.ndarray
    lon: np.ndarray

    def at(self, latitude: np.ndarray, longitude: np.ndarray, order: int = 1) -> np.ndarray:
        """Values (...) at places of degrees, as at the edge beyond it; bilinear, or nearest with `order` 0."""
        row = (latitude - self.lat[0]) / (self.lat[1] - self.lat[0])
        column = (longitude - self.lon[0]) / (self.lon[1] - self.lon[0])
        return scipy.ndimage.map_coordinates(self.values, [row, column], order=order, mode="nearest", output=np.float32)


@dataclass(frozen=True)
class Climatology:
    """Climate and shape of the land.

    Attributes:
        precipitation: Twelve maps of the precipitation of a month, kg m-2.
        temperature: Twelve maps of the mean temperature, K, at `reference`.
        reference: Altitude that the temperature belongs to, m.
        altitude: Altitude of the land, m.
        ocean: 1 in the sea, 0 on land.
        source: What it is, in words.
    """

    precipitation: tuple[Layer, ...]
    temperature: tuple[Layer, ...]
    reference: Layer
    altitude: Layer
    ocean: Layer
    source: str

    def temperature_at(
        self, month: int, latitude: np.ndarray, longitude: np.ndarray, altitude: np.ndarray
    ) -> np.ndarray:
        """Mean temperature (...) of a month (0 to 11), K, at places (...) of degrees and altitudes (...) of m."""
        rise = altitude - self.reference.at(latitude, longitude)
        return self.temperature[month].at(latitude, longitude) - LAPSE_RATE * rise


def read(folder: pathlib.Path) -> Climatology:
    """The climatology of a folder that holds `china_box_climatology.nc` and `china_landmask_30s.nc`.

    Raises:
        InputError: If a file or variable is missing, cannot be read or is in another unit.
    """
    file = rawfiles.read_variables(folder / FILE, {"P_month": "mm month-1", "T_month": "K", "z_itu": "m"})
    rain = [Layer(m, file.lat_p.values, file.lon_p.values) for m in file.P_month.values]
    warmth = [Layer(m, file.lat_t.values, file.lon_t.values) for m in file.T_month.values]
    altitude = Layer(file.z_itu.values, file.lat_z.values, file.lon_z.values)
    file = rawfiles.read_variables(folder / MASK, {"ocean": ""})
    ocean = Layer(file.ocean.values, file.lat.values, file.lon.values)
    width = round(abs((warmth[0].lat[1] - warmth[0].lat[0]) / (altitude.lat[1] - altitude.lat[0])))
    reference = Layer(scipy.ndimage.uniform_filter(altitude.values, width), altitude.lat, altitude.lon)
    return Climatology(tuple(rain), tuple(warmth), reference, altitude, ocean, f"{FILE} in data.root")


def built_in() -> Climatology:
    r"""A smooth climate of the same kind: a plateau in the west, a monsoon from the southeast, winters in the north.

    With latitude $\varphi$, longitude $\lambda$ (degrees) and the month m (0 to 11, the warmest is 6):

    $$ z = 60 + 4700\,s\!\left(\tfrac{101 - \lambda}{3}\right) s\!\left(\tfrac{37 - \varphi}{1.5}\right)
        s\!\left(\tfrac{\varphi - 27}{1}\right) + 1200\,s\!\left(\tfrac{110 - \lambda}{2}\right), $$

    $$ P = 1900\,e^{-(\varphi - 20)/14}\,e^{-\max(118 - \lambda, 0)/22}\,
        \big(1 + 0.9 \cos(\tfrac{\pi (m - 6)}{6})\big) / 12, $$

    $$ T = 299 - 0.55 (\varphi - 20) + (3 + 0.55 (\varphi - 20)) \cos(\tfrac{\pi (m - 6)}{6}) - 0.0065\,z, $$

    where s is the logistic function. The numbers are choices of this project; no place has this climate.
    """
    lat, lon = np.arange(SOUTH - 1, NORTH + 1.1, 0.25), np.arange(WEST - 1, EAST + 1.1, 0.25)
    north, east = np.meshgrid(lat, lon, indexing="ij")

    def logistic(value: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-value))

    plateau = logistic((101 - east) / 3) * logistic((37 - north) / 1.5) * logistic(north - 27)
    altitude = 60 + 4700 * plateau + 1200 * logistic((110 - east) / 2)
    annual = 1900 * np.exp(-(north - 20) / 14) * np.exp(-np.maximum(118 - east, 0) / 22)
    course = np.cos(np.pi * (np.arange(12) - 6) / 6)
    rain = [Layer(annual * (1 + 0.9 * c) / 12, lat, lon) for c in course]
    spread = 3 + 0.55 * (north - 20)
    warmth = [Layer(299 - 0.55 * (north - 20) + spread * c - LAPSE_RATE * altitude, lat, lon) for c in course]
    land = Layer(altitude, lat, lon)
    ocean = Layer((east > 122 - 0.02 * (north - 30) ** 2).astype(float), lat, lon)
    return Climatology(tuple(rain), tuple(warmth), land, land, ocean, "smooth formulas of this program")
