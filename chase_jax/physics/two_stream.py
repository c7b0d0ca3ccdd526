r"""Light in one layer of vegetation: two-stream theory in two bands.

Within a layer of one-sided area L the diffuse fluxes down and up obey, with the area above a point as coordinate x,

$$ \frac{dI_\downarrow}{dx} = -b I_\downarrow + c I_\uparrow + f e^{-Kx}, \qquad
   \frac{dI_\uparrow}{dx} = b I_\uparrow - c I_\downarrow - d e^{-Kx}, $$

where c is the share of diffuse light that a unit area scatters back, b = 1 - omega + c, K = G(mu)/mu attenuates the
direct beam, and d and f are its light scattered back and on. The solution is a sum of a decaying and a growing
exponential with the coefficient $q = \sqrt{b^2 - c^2}$ and the asymptotic reflectance r = c/(b + q). It is written here
for a layer over black ground and then joined to what lies below by adding the reflections between them. That is exact,
overflows nowhere, and has one removable singularity, K = q, where a difference quotient takes its limit.

Source:
    sellers1985 (the equations), vandehulst1980 (the adding method).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.numerics.fence import fenced
from chase_jax.numerics.smooth import safe_divide, safe_sqrt
from chase_jax.typing import PerCell

SNOW_SCATTERING = (0.9, 0.7)  # 1, of cold snow on leaves, visible and infrared (pollard1995)
MELTING_SNOW_FACTOR = 0.6  # 1, on it where the leaf is not below melting
MELTING_SNOW_RANGE = 1.0  # K below melting over which it is cold
COSINE_FLOOR = 0.01  # 1, the sun is not seen lower
QUOTIENT_LIMIT = 1e-3  # 1, below which the difference of two exponents is expanded; error 1e-14


class Leaves(NamedTuple):
    """Optics of one layer's leaves and stems.

    Attributes:
        reflectance: Of a leaf, in the visible and in the infrared, 1.
        transmittance: Of a leaf, in the visible and in the infrared, 1.
        vertical_share: Share of vertical area, the rest being oriented at random, 1.
    """

    reflectance: tuple[float, float]
    transmittance: tuple[float, float]
    vertical_share: float


class BandOptics(eqx.Module):
    """One layer in one band, over black ground.

    Attributes:
        scattering (cell,): Share of light that a unit area scatters omega, 1.
        backscatter (cell,): Share that it scatters back of a beam from the horizon, 1.
        backscatter_slope (cell,): Change of that share with the cosine of the beam's zenith angle, 1.
        decay (cell,): Coefficient of the exponential q, 1.
        extinction (cell,): e^{-qL}, 1.
        asymptote (cell,): Reflectance of an infinite layer r, 1.
        reflectance (cell,): Reflectance for diffuse light, 1.
        transmittance (cell,): Transmittance for diffuse light, 1.
    """

    scattering: PerCell
    backscatter: PerCell
    backscatter_slope: PerCell
    decay: PerCell
    extinction: PerCell
    asymptote: PerCell
    reflectance: PerCell
    transmittance: PerCell


class LayerOptics(eqx.Module):
    """One layer of vegetation.

    Attributes:
        area (cell,): One-sided area of leaves and stems over the covered ground L, 1.
        leaf_share (cell,): Share of leaves in it, 1.
        bands: :class:`BandOptics` of the visible and of the infrared.
    """

    area: PerCell
    leaf_share: PerCell
    bands: tuple[BandOptics, BandOptics]


def layer_optics(
    leaves: Leaves,
    leaf_area: PerCell,
    stem_area: PerCell,
    snow: PerCell | float = 0.0,
    temperature: PerCell | float = const.MELTING_TEMPERATURE,
) -> LayerOptics:
    r"""Optics of one layer for diffuse light.

    $$ R = \frac{r(1 - E^2)}{1 - r^2E^2}, \qquad T = \frac{E(1 - r^2)}{1 - r^2E^2}, \qquad E = e^{-qL} . $$

    Args:
        leaves: Optics of a single leaf.
        leaf_area (cell,): One-sided leaf area over the covered ground, 1.
        stem_area (cell,): One-sided stem area likewise, 1.
        snow (cell,): Share of the area that snow covers, 1.
        temperature (cell,): Temperature of the leaves, K.

    Returns:
        The :class:`LayerOptics`.

    Source:
        sellers1985, goudriaan1977 (oriented leaves), pollard1995 (snow on leaves).
    """
    area = leaf_area + stem_area
    snow = jnp.broadcast_to(snow, area.shape)
    coldness = jnp.clip((const.MELTING_TEMPERATURE - temperature) / MELTING_SNOW_RANGE, 0.0, 1.0)
    brightness = MELTING_SNOW_FACTOR + (1.0 - MELTING_SNOW_FACTOR) * coldness
    bands = []
    for reflects, transmits, of_snow in zip(leaves.reflectance, leaves.transmittance, SNOW_SCATTERING, strict=True):
        scattering = (1.0 - snow) * (reflects + transmits) + snow * brightness * of_snow
        slope = (1.0 - snow) * ((1.0 - leaves.vertical_share) / 3.0 * (reflects - transmits))
        bands.append(_band_optics(area, scattering, slope))
    return LayerOptics(area=area, leaf_share=safe_divide(leaf_area, area), bands=(bands[0], bands[1]))


class Beam(NamedTuple):
    """Direct light through one layer over black ground, per unit of what comes in from above.

    Attributes:
        unscattered (cell,): Passes without meeting a leaf, 1.
        reflected (cell,): Leaves upward, 1.
        scattered (cell,): Leaves downward as diffuse light, 1.
    """

    unscattered: PerCell
    reflected: PerCell
    scattered: PerCell


@fenced(static=("leaves",))
def beam_through(leaves: Leaves, area: PerCell, band: BandOptics, cosine_zenith: PerCell) -> Beam:
    r"""What becomes of direct light in one layer over black ground.

    $$ R_b = \frac{B - rE A}{1 - r^2E^2}, \quad T_b = \frac{A - rE B}{1 - r^2E^2}, \quad
       A = (f + r d)\frac{E - S}{K - q}, \quad B = (d + r f)\frac{1 - S E}{K + q}, $$

    with $S = e^{-KL}$. A is the light that the decaying exponential collects on its way down, B that of the growing
    one on its way up. At K = q the quotient in A becomes L S.

    Args:
        leaves: Optics of a single leaf.
        area (cell,): One-sided area of leaves and stems over the covered ground L, 1.
        band: Optics of the layer in one band.
        cosine_zenith (cell,): Cosine of the solar zenith angle, 1; counted as at least 0.01.

    Returns:
        The :class:`Beam`.

    Source:
        sellers1985, solved in another form.
    """
    mu = jnp.clip(cosine_zenith, COSINE_FLOOR, 1.0)
    vertical = leaves.vertical_share
    projection = jnp.full_like(mu, 0.5 * (1.0 - vertical))
    if vertical > 0.0:
        projection = projection + vertical * (2.0 / np.pi) * safe_sqrt(1.0 - mu * mu)
    k, q, r, e = projection / mu, band.decay, band.asymptote, band.extinction
    s = jnp.exp(-k * area)
    d = k * (band.backscatter + mu * band.backscatter_slope)
    f = k * band.scattering - d

    exponent = (k - q) * area
    regular = jnp.abs(exponent) > QUOTIENT_LIMIT
    limit = 0.5 * (e + s) * area * (1.0 - exponent * exponent / 12.0)
    quotient = jnp.where(regular, (e - s) / jnp.where(regular, k - q, 1.0), limit)
    down = (f + r * d) * quotient
    up = (d + r * f) * (1.0 - s * e) / (k + q)
    damping = r * e
    escape = 1.0 / (1.0 - damping * damping)
    return Beam(unscattered=s, reflected=(up - damping * down) * escape, scattered=(down - damping * up) * escape)


class Covered(NamedTuple):
    """One layer over ground that reflects, per unit of what comes in from above.

    Attributes:
        beam (cell,): Direct light that arrives at the ground as such, 1.
        below_direct (cell,): Diffuse light arriving at the ground, of direct light from above, 1.
        below_diffuse (cell,): Diffuse light arriving at the ground, of diffuse light from above, 1.
        reflected_direct (cell,): Direct light that leaves upward, 1.
        reflected_diffuse (cell,): Diffuse light that leaves upward, 1.
    """

    beam: PerCell
    below_direct: PerCell
    below_diffuse: PerCell
    reflected_direct: PerCell
    reflected_diffuse: PerCell


@fenced()
def over(beam: Beam, band: BandOptics, ground_direct: PerCell, ground_diffuse: PerCell) -> Covered:
    r"""Add the reflections between a layer and the ground, $D = (T + R\,a_{dir}S)/(1 - R\,a_{dif})$.

    Args:
        beam: Direct light through the layer over black ground.
        band: Optics of the layer in the same band.
        ground_direct (cell,): Albedo of the ground for direct light, 1.
        ground_diffuse (cell,): Albedo of the ground for diffuse light, 1.

    Returns:
        The layer and its ground together.

    Source:
        vandehulst1980 (the adding method).
    """
    once = ground_direct * beam.unscattered
    repeated = 1.0 / (1.0 - band.reflectance * ground_diffuse)
    below_direct = (beam.scattered + band.reflectance * once) * repeated
    below_diffuse = band.transmittance * repeated
    return Covered(
        beam=beam.unscattered,
        below_direct=below_direct,
        below_diffuse=below_diffuse,
        reflected_direct=beam.reflected + band.transmittance * (once + ground_diffuse * below_direct),
        reflected_diffuse=band.reflectance + band.transmittance * ground_diffuse * below_diffuse,
    )


def _band_optics(area: PerCell, scattering: PerCell, slope: PerCell) -> BandOptics:
    back = 0.5 * (scattering + slope)  # of diffuse light: as of a beam whose cosine is one half
    loss = 1.0 - scattering + back
    decay = jnp.sqrt(jnp.maximum(loss * loss - back * back, 1e-12))
    asymptote = back / (loss + decay)
    extinction = jnp.exp(-decay * area)
    damping = asymptote * extinction
    escape = 1.0 / (1.0 - damping * damping)
    return BandOptics(
        scattering=scattering,
        backscatter=0.5 * scattering,
        backscatter_slope=slope,
        decay=decay,
        extinction=extinction,
        asymptote=asymptote,
        reflectance=asymptote * (1.0 - extinction * extinction) * escape,
        transmittance=extinction * (1.0 - asymptote * asymptote) * escape,
    )
