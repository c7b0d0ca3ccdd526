r"""Seepage between the aquifer and the river, lake or sink above it.

$$ Q = k\,A_w\,d\left[1 + \frac{a\max(d, 0)}{S_d}\right], \qquad d = \max(h_g, -m) - h_w $$

positive into the open water, with k the conductance of the bed, $A_w$ the wetted area, m the thickness of the bed, and
both heads measured from the top of the bed. One channel per cell stands for all its streams, and flow to parallel
drains has a part that is linear in the head and one that is quadratic, because the aquifer above the drains conducts
the more the fuller it is (Hooghoudt). So streams fall fast from a flood and slowly from low flow. The measure of
filling is the water above the level of the stream, a d with the storage coefficient a between both heads: $S_d$ of it
double the conductance. Below the bed ($h_g < -m$) the aquifer has no hold on the water above it, which then leaks at a
rate of its own depth alone. A shallow losing channel wets only part of its bed.

Over a time step each pair of stores relaxes towards a common level. With storage areas $a_g$ and $a_w$ and
$\kappa = k A_w (1/a_g + 1/a_w)$ the difference of heads obeys $\dot d = -\kappa\,d\,(1 + a d/S_d)$, an equation of
Bernoulli. The mean flow is the initial one times

$$ \frac{R}{1 + (a d/S_d)\,\kappa\Delta t\,R}, \qquad R = \frac{1 - e^{-\kappa\Delta t}}{\kappa\Delta t} : $$

exact for constant areas, and stable for every step.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax.numerics import smooth
from chase_jax.typing import PerCell

DRAINAGE_TIME = 45 * 86400.0  # s, of low flow, brutsaert2008
DOUBLING_STORAGE = 0.045  # m of water above the level of the stream; choice of this project
BED_THICKNESS = 1.0  # m, of the clogged bed; choice of this project
DISCONNECTION_WIDTH = 0.05  # m, bend where the aquifer loses contact with the bed; choice of this project
WETTING_DEPTH = 0.05  # m, water depth at which half the bed of a losing channel is wet; choice of this project


class Parameters(eqx.Module):
    """Beds of rivers and lakes.

    Attributes:
        bed_conductance (cell,): Conductivity of the bed over its thickness, s-1, >= 0; measured beds have 1e-7 to 1e-5.
        doubling_storage (cell,): Water of the aquifer above the level of the stream with which it conducts twice as
            well, m, > 0; infinite for a flow linear in the head.
    """

    bed_conductance: PerCell
    doubling_storage: PerCell

    @classmethod
    def default(cls, specific_yield: PerCell, cell_area: PerCell, wetted_area: PerCell) -> Parameters:
        r"""Conductance with which low flow recedes with a time scale of 45 days, $S_y A / (k A_w)$.

        Mature catchments of all sizes share this time scale (45 days, standard deviation 15). One channel per cell
        stands for all its streams, so a conductance measured on a river bed would drain it far too slowly.

        Args:
            specific_yield (cell,): Specific yield S_y, 1.
            cell_area (cell,): Area A, m2.
            wetted_area (cell,): Area A_w of channel, lake or sink, m2, > 0.

        Source:
            brutsaert2008; that recessions are the steeper the higher the flow: brutsaert1977.
        """
        conductance = specific_yield * cell_area / (DRAINAGE_TIME * wetted_area)
        return cls(bed_conductance=conductance, doubling_storage=jnp.full_like(conductance, DOUBLING_STORAGE))


def discharge(
    parameters: Parameters,
    aquifer_storage: PerCell,
    storage_coefficient: PerCell,
    water_table_depth: PerCell,
    bed_depth: PerCell,
    water_depth: PerCell,
    water_volume: PerCell,
    wetted_area: PerCell,
    cell_area: PerCell,
    dt: float,
) -> PerCell:
    r"""Mean flow from the aquifer into the open water over a step, limited to what the giver has.

    The caller moves the water: $A\,dS = -Q\,dt$ in the aquifer, $dV = +Q\,dt$ in the river or lake.

    Args:
        parameters: Beds.
        aquifer_storage (cell,): Water of the aquifer, m per cell area, >= 0.
        storage_coefficient (cell,): Change of that storage per change of head between the level of the open water and
            the water table, 1, > 0.
        water_table_depth (cell,): Depth of the head below the land surface, m.
        bed_depth (cell,): Depth of the bed below the land surface, m.
        water_depth (cell,): Depth of the open water, m, >= 0.
        water_volume (cell,): Volume of the open water, m3, >= 0.
        wetted_area (cell,): Area of channel, lake or sink, m2, > 0.
        cell_area (cell,): Area of the cell, m2.
        dt: Length of the step, s.

    Returns:
        Flow (cell,), m3 s-1, positive into the open water.

    Source:
        harbaugh2005 (river package) for the linear law and disconnection; hooghoudt1940 for the quadratic part;
        the relaxation in closed form is this project's.
    """
    aquifer_head = bed_depth - water_table_depth
    difference = smooth.softplus(aquifer_head + BED_THICKNESS, DISCONNECTION_WIDTH) - BED_THICKNESS - water_depth
    wet = jnp.where(difference < 0.0, water_depth / (water_depth + WETTING_DEPTH), 1.0)
    conductance = parameters.bed_conductance * wetted_area * wet
    decay = conductance * dt * (1.0 / (storage_coefficient * cell_area) + 1.0 / wetted_area)
    fullness = storage_coefficient * jnp.maximum(difference, 0.0) / parameters.doubling_storage
    relaxed = _relaxation(decay)
    flow = conductance * difference * (1.0 + fullness) * relaxed / (1.0 + fullness * decay * relaxed)
    from_aquifer, from_water = aquifer_storage * cell_area / dt, water_volume / dt
    flow = jnp.where(flow > from_aquifer, from_aquifer, flow)
    # The last of a losing river leaves at once: what leaks of it is rounded to nothing long before it is nothing, and
    # the derivative, which is not, would be amplified from step to step.
    last = (difference < 0.0) & (water_volume <= smooth.tiny(water_volume))
    return jnp.where(last | (flow < -from_water), -from_water, flow)


def _relaxation(decay: PerCell) -> PerCell:
    r"""Mean of $e^{-x t}$ over 0 <= t <= 1, $(1 - e^{-x})/x$, regular at x = 0."""
    small = decay < 1e-6
    guarded = jnp.where(small, 1.0, decay)
    return jnp.where(small, 1.0 - 0.5 * decay, -jnp.expm1(-guarded) / guarded)
