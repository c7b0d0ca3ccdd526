r"""Weather at another altitude than the one it belongs to: shared formulas, no state, no step.

$$ T' = T - \Gamma z, \qquad p' = p\,\exp\Big(-\frac{g z}{R\,(T + T')/2}\Big), \qquad
   q' = q\,\frac{q_s(T', p')}{q_s(T, p)} $$

for a place z above: temperature falls by a lapse rate, pressure is in hydrostatic balance with it, and the relative
humidity stays. Longwave radiation follows temperature and humidity (:func:`longwave`). Sunlight, wind and
precipitation stay as they are.

Source:
    cosgrove2003 (NLDAS).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.physics.sky import clear_sky_emissivity, fourth_power
from chase_jax.physics.thermodynamics import saturation_humidity

LAPSE_RATE = 0.0065  # K m-1, of the standard atmosphere


class Weather(NamedTuple):
    """What of the weather depends on altitude.

    Attributes:
        temperature (..., cell): Air temperature T, K.
        humidity (..., cell): Specific humidity q, 1.
        pressure (..., cell): Air pressure p, Pa.
        longwave (..., cell): Longwave radiation from the sky, W m-2; None if it is not given.
    """

    temperature: jax.Array
    humidity: jax.Array
    pressure: jax.Array
    longwave: jax.Array | None = None


def moved(weather: Weather, rise: jax.Array, lapse_rate: jax.Array | float = LAPSE_RATE) -> Weather:
    """The weather at places that lie higher; see the module.

    Args:
        weather: The weather below.
        rise (cell,): How much higher they lie z, m; negative where lower.
        lapse_rate (...): Fall of temperature with altitude, K m-1.
    """
    temperature = weather.temperature - lapse_rate * rise
    middle = 0.5 * (weather.temperature + temperature)
    pressure = weather.pressure * jnp.exp(-const.GRAVITY * rise / (const.GAS_CONSTANT_AIR * middle))
    most = saturation_humidity(weather.temperature, weather.pressure).humidity
    humidity = weather.humidity * (saturation_humidity(temperature, pressure).humidity / most)
    there = Weather(temperature, humidity, pressure)
    return there if weather.longwave is None else there._replace(longwave=longwave(weather.longwave, weather, there))


def longwave(given: jax.Array, here: Weather, there: Weather) -> jax.Array:
    r"""Longwave radiation of the same clouds over another altitude (..., cell), W m-2.

    $$ L' = \epsilon'\,\sigma T'^4, \qquad \epsilon' = \begin{cases}
       1 - (1 - \epsilon)\,(1 - \epsilon_c')/(1 - \epsilon_c) & \epsilon > \epsilon_c \\
       \epsilon\,\epsilon_c'/\epsilon_c & \text{else} \end{cases}, \qquad \epsilon = \frac{L}{\sigma T^4} . $$

    Args:
        given (..., cell): Longwave radiation L, W m-2.
        here: The weather that it belongs to.
        there: The weather where it is wanted.

    Source:
        cosgrove2003 (the second case); that clouds stay (the first) is this project's.
    """
    emissivity = given / (const.STEFAN_BOLTZMANN * fourth_power(here.temperature))
    clear, clear_there = clear_sky_emissivity(*here[:3]), clear_sky_emissivity(*there[:3])
    cloudy = 1.0 - (1.0 - emissivity) * (1.0 - clear_there) / (1.0 - clear)
    found = jnp.where(emissivity > clear, cloudy, emissivity * clear_there / clear)
    return found * const.STEFAN_BOLTZMANN * fourth_power(there.temperature)
