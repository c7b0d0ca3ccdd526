r"""Flow between the lowest soil layer and the aquifer, with the calibrated factor C of the paper.

Steady flow from a node with saturation s at height Z above the water table obeys Darcy and Buckingham; its exact
solution is an integral over suction. The closed form used here is downward flow under gravity less the capillary rise,

$$ q = C K_s \phi \left[ s^{2b+3} - a\, x^{\beta}\, y \right], \qquad y = \frac{1}{1 + (a-1)(s/s_e)^{0.6(2b+3)}}, $$

with $x = \psi_e/Z'$, $s_e = x^{1/b}$, $\beta = 2 + 3/b$, $a = 1 + 1.5/(\beta - 1)$ and a smooth $Z' = \max(Z, \psi_e)$.
It is zero at hydrostatic equilibrium (because $y(s_e) = 1/a$), tends to free drainage when wet and to the greatest
capillary rise when dry. Where the head h stands above the bottom $h_z$ of the soil column it pushes
water up with $C K_s \phi\, (h - h_z)/(\Delta z_6/2 + 0.1 m)$; what does not fit into layer 6 rises through the column
and leaves at the surface. For the curves of van Genuchten $x^\beta$ is K of the equilibrium saturation over $K_s$, and
s its value above the residual one; b and $\psi_e$ are those of the equivalent power laws.

Macropores lead a part of what infiltrates past the matrix (:func:`bypass_share`). The matrix alone passes little on
before spring, and that evenly: in catchments the flow of winter and base flow need more.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.physics import soil_hydraulics, van_genuchten
from chase_jax.typing import PerCell

HEIGHT_WIDTH = 0.05  # m, bend between the height of the node and the capillary fringe below which it does not count
CAPILLARY_SHAPE = 0.6  # 1, exponent of the transition between rise and drainage over that of conductivity
PRESSURE_LENGTH = 0.1  # m, bed between aquifer and column, keeps the pressure term finite
BYPASS_ROOM = 0.05  # m of water, room in the aquifer below which macropores drain less
BYPASS_FRACTION = 0.9  # 1, nearly all that infiltrates where the factor C is large; choice of this project
WETNESS_EXPONENT = 2  # 1, of the wetness on which macropores feed; 1 to 6 in lindstrom1997


class Parameters(eqx.Module):
    """Exchange between soil and aquifer.

    Attributes:
        baseflow_factor (cell,): Factor C on the conductivity of the exchange, 1; useful range 1e-4 to 1e2.
        bypass_fraction (cell,): Share f of infiltrating water that macropores lead straight to the aquifer where the
            soil holds its field capacity and C is large, 1; 0 to 1. With 0 the exchange is that of the matrix alone.
    """

    baseflow_factor: PerCell
    bypass_fraction: PerCell

    @classmethod
    def default(cls, n_cells: int) -> Parameters:
        """C = 1 and macropores in all `n_cells` cells."""
        return cls(baseflow_factor=jnp.ones(n_cells), bypass_fraction=jnp.full(n_cells, BYPASS_FRACTION))


def bypass_share(
    parameters: Parameters,
    soil: soil_hydraulics.Parameters,
    aquifer_thickness: PerCell,
    specific_yield: PerCell,
    saturation: PerCell,
    storage: PerCell,
) -> PerCell:
    r"""Share of infiltrating water that goes straight to the aquifer (cell,), 1.

    $$ f\,\frac{C}{1 + C}\,W^2\,\mathrm{clip}\frac{S_y D - S}{0.05\,m}, \qquad
       W = \mathrm{clip}\frac{s - s_w}{s_f - s_w} : $$

    macropores are fed where the matrix is moist, and drain while the water table lies below the soil column. The factor
    C acts on them as on the exchange of the matrix, so that without it nothing reaches the aquifer on either way.

    Args:
        parameters: The fraction f and the factor C.
        soil: Soil, leaves (cell,), with wilting point s_w and field capacity s_f.
        aquifer_thickness (cell,): D, m.
        specific_yield (cell,): S_y, 1.
        saturation (cell,): Of the pores above the depth that decides on runoff s, ice included, 1.
        storage (cell,): Water of the aquifer S, m per cell area.

    Source:
        beven1982 (flow in macropores bypasses the matrix); lindstrom1997 (W to a power is the share of rain and melt
        that soil moisture passes on); C and the room are this project's.
    """
    room = (specific_yield * aquifer_thickness - storage) / BYPASS_ROOM
    wetness = jnp.clip((saturation - soil.wilting_point) / (soil.field_capacity - soil.wilting_point), 0.0, 1.0)
    # not clip, which halves the derivative at its ends, and no macropores is one of them
    given = parameters.bypass_fraction
    fraction = jnp.where(given < 0.0, 0.0, jnp.where(given > 1.0, 1.0, given))
    factor = parameters.baseflow_factor / (1.0 + parameters.baseflow_factor)
    return fraction * factor * wetness**WETNESS_EXPONENT * jnp.clip(room, 0.0, 1.0)


class Exchange(eqx.Module):
    """Flow from the soil down to the aquifer and its slopes.

    Attributes:
        flux (cell,): Downward flow, kg m-2 s-1 of land.
        saturation_slope (cell,): Derivative by the saturation of the lowest layer, kg m-2 s-1, >= 0.
        storage_slope (cell,): Derivative by the storage of the aquifer in metres, kg m-3 s-1, <= 0.
    """

    flux: PerCell
    saturation_slope: PerCell
    storage_slope: PerCell


def soil_aquifer(
    parameters: Parameters,
    soil: soil_hydraulics.Parameters,
    aquifer_thickness: PerCell,
    specific_yield: PerCell,
    saturation: PerCell,
    mobility: PerCell,
    storage: PerCell,
) -> Exchange:
    """Flow between the lowest soil layer and the aquifer: the equation in the module docstring.

    Bound to its first four arguments it is the lower boundary of the soil-water step, which takes it implicitly in both
    saturation and storage, and limits it to the water that giver and taker have.

    Args:
        parameters: The factor C.
        soil: Soil, leaves (cell,).
        aquifer_thickness (cell,): Thickness of the aquifer, m.
        specific_yield (cell,): Specific yield, 1.
        saturation (cell,): Saturation of the ice-free pores of the lowest layer, 1.
        mobility (cell,): Factor by which ice reduces conductivity, 1.
        storage (cell,): Water of the aquifer, m per cell area.

    Returns:
        Flow and slopes.

    Source:
        bogaart2008 (capillary rise, exponents); fersch2013 (coupling); the transition y is this project's.
    """
    psi = soil.air_entry_suction
    lowest = soil_hydraulics.LAYER_THICKNESS[-1]
    table = soil_hydraulics.water_table(storage, aquifer_thickness, specific_yield)
    rise = jnp.maximum(soil_hydraulics.COLUMN_DEPTH - table.depth, 0.0)

    above_fringe = table.depth - soil_hydraulics.COLUMN_DEPTH + 0.5 * lowest - psi
    height = psi + smooth.smooth_positive(above_fringe, HEIGHT_WIDTH)
    # slope of smooth_positive: value / sqrt(x^2 + w^2)
    height_slope = (height - psi) / jnp.sqrt(above_fringe * above_fringe + HEIGHT_WIDTH * HEIGHT_WIDTH)

    law = _power_laws if soil.retention is None else _van_genuchten
    net, by_saturation, by_height = law(soil, saturation, height)
    scale = const.WATER_DENSITY * parameters.baseflow_factor * soil.saturated_conductivity * mobility
    per_rise = 1.0 / (0.5 * lowest + PRESSURE_LENGTH)
    by_head = by_height * height_slope + jnp.where(rise > 0.0, per_rise, 0.0)
    return Exchange(
        flux=scale * (net - per_rise * rise),
        saturation_slope=scale * by_saturation,
        storage_slope=-scale * by_head / table.storage_coefficient,
    )


def _power_laws(soil, saturation, height):
    """Drainage less capillary rise over K_s, and its slopes by saturation and height, m-1."""
    b, psi = soil.exponent, soil.air_entry_suction
    s = jnp.clip(saturation, soil_hydraulics.SATURATION_FLOOR, 1.0)
    log_s, log_x = jnp.log(s), jnp.log(psi / height)
    power, beta = 2.0 * b + 3.0, 2.0 + 3.0 / b
    a, shape = 1.0 + 1.5 / (beta - 1.0), CAPILLARY_SHAPE * power
    drainage = jnp.exp(power * log_s)
    excess = (a - 1.0) * jnp.exp(shape * (log_s - log_x / b))
    y = 1.0 / (1.0 + excess)
    capillary = a * jnp.exp(beta * log_x) * y
    by_saturation = (power * drainage + shape * capillary * excess * y) / s
    return drainage - capillary, by_saturation, capillary * (beta + (shape / b) * excess * y) / height


def _van_genuchten(soil, saturation, height):
    """The same for the curves of van Genuchten."""
    curves, b = soil.retention, soil.exponent
    a, shape = 1.0 + 1.5 / (1.0 + 3.0 / b), CAPILLARY_SHAPE * (2.0 * b + 3.0)

    def _net(s, z):
        equilibrium = van_genuchten.saturation_at(curves, z)
        drainage, rising = (van_genuchten.relative_conductivity(curves, at)[0] for at in (s, equilibrium))
        filled, at_rest = (van_genuchten.effective_saturation(curves, at) for at in (s, equilibrium))
        return drainage - a * rising / (1.0 + (a - 1.0) * jnp.exp(shape * (jnp.log(filled) - jnp.log(at_rest))))

    one, zero = jnp.ones_like(height), jnp.zeros_like(height)
    net, by_saturation = jax.jvp(_net, (saturation, height), (one, zero))
    return net, by_saturation, jax.jvp(_net, (saturation, height), (zero, one))[1]
