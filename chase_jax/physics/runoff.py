r"""Surface runoff: how much of the water that reaches the ground runs off at once, and what the puddles hold.

The calibrated parameter `dcor` has no public definition, so five readings of it are offered under one name each:

- D1 factor on the infiltration capacity, 1e-3 ... 10
- D2 factor on the puddle capacity of 4.5 mm, 0.02 ... 30
- D3 exponent of the VIC (ARNO, Xinanjiang) curve of storage capacities, integrated over the event, 0.01 ... 10
- D4 share f of $f W^{1.5}$ that runs off, 0 ... 1
- D5 contributing area $A = 1 - (1-W)^m$ with $m = dcor/(1-dcor)$, 0 ... 1 (default)

W is the relative filling of the pores down to a given depth, ice included, so that frozen soil sheds water. D5 is the
family of D3 (there $m = b/(1+b) < 1$) continued to all m > 0: monotone, bounded, with a gradient over its whole range.

A shallow depth answers to every rain; a deep one, half a metre by default, remembers the season, so that land which
dried out in summer sheds little until its soil is filled again. W is counted from a threshold on, by default the
wilting point: it then is the share of what plants can empty, as the tension water of zhao1992 is.
"""

from __future__ import annotations

import itertools

import equinox as eqx
import jax.numpy as jnp

from chase_jax.checks import require_choice
from chase_jax.numerics import smooth
from chase_jax.typing import PerCell, PerLayerCell

FORMS = ("D1", "D2", "D3", "D4", "D5")
RANGE = {"D1": (1e-3, 10.0), "D2": (0.02, 30.0), "D3": (0.01, 10.0), "D4": (0.0, 1.0), "D5": (0.0, 1.0)}  # 1
# Values to start a calibration from, 1; D3 is the exponent that zhao1992 finds in humid basins. With 0.5 in D5 the
# contributing area equals the filling.
START = {"D1": 1.0, "D2": 1.0, "D3": 0.3, "D4": 0.1, "D5": 0.5}
CONTRIBUTING_DEPTH = 0.5  # m, where most roots are; choice of this project
FILLING_MARGIN = 1e-3  # 1, keeps the slope of (1 - W)^m finite at saturation
DCOR_MARGIN = 1e-3  # 1, keeps m finite in D5
LSX_PUDDLE_CAPACITY = 4.5  # kg m-2, IBIS 2; the unit of D2


class Parameters(eqx.Module):
    """Partition of ground water input.

    Attributes:
        dcor (cell,): The calibrated parameter; meaning and range depend on the form, 1.
        puddle_capacity (cell,): Water that puddles hold before they overflow, kg m-2.
        contributing_depth (cell,): Depth of the soil whose filling decides on what runs off, m, > 0.
        contributing_threshold (cell,): Filling up to which nothing runs off in forms D3 to D5, 1; 0 to below 1.
    """

    dcor: PerCell
    puddle_capacity: PerCell
    contributing_depth: PerCell
    contributing_threshold: PerCell

    @classmethod
    def default(cls, wilting_point: PerCell, form: str = "D5") -> Parameters:
        """The starting value of `form` in all cells, puddles of 10 mm, half a metre of soil from its wilting point on.

        Puddles of less (4.5 mm in IBIS) overflow in a step of hours although the soil would take their water.

        Args:
            wilting_point (cell,): Saturation at which transpiration ends, 1.
            form: Reading of dcor.
        """
        require_choice(form, "form", FORMS)
        dry = jnp.asarray(wilting_point, dtype=float)
        dcor, puddle, depth = (jnp.full_like(dry, value) for value in (START[form], 10.0, CONTRIBUTING_DEPTH))
        return cls(dcor, puddle, depth, contributing_threshold=dry)


class Partition(eqx.Module):
    """What becomes of the liquid that reaches the ground.

    Attributes:
        direct_runoff (cell,): Runs off at once, kg m-2 s-1.
        direct_runoff_heat (cell,): Its enthalpy flux, W m-2.
        supply (cell,): Joins the puddle, from which it infiltrates, kg m-2 s-1.
        supply_heat (cell,): Its enthalpy flux, W m-2.
        puddle_capacity (cell,): Water the puddle holds, kg m-2.
        capacity_factor (cell,): Factor on the infiltration capacity, 1.
    """

    direct_runoff: PerCell
    direct_runoff_heat: PerCell
    supply: PerCell
    supply_heat: PerCell
    puddle_capacity: PerCell
    capacity_factor: PerCell


def contributing_area(dcor: PerCell, filling: PerCell) -> PerCell:
    r"""Share of the land that sheds what it receives in form D5, $1 - (1-W)^{dcor/(1-dcor)}$, 1; none where W < 0.

    Args:
        dcor (cell,): Between 0 (nothing sheds) and 1 (all does), 1.
        filling (cell,): Relative filling W of the upper soil, 1.

    Source:
        zhao1992 and liang1994 for the family of curves; the range of the exponent is this project's.
    """
    d = jnp.clip(dcor, 0.0, 1.0 - DCOR_MARGIN)
    w = jnp.clip(filling, 0.0, 1.0 - FILLING_MARGIN)
    return -jnp.expm1(d / (1.0 - d) * jnp.log1p(-w))


def upper_share(depth: PerCell, thickness: tuple[float, ...]) -> PerLayerCell:
    """Share of each layer of the soil (layer, cell) that lies above a depth, 1.

    Args:
        depth (cell,): The depth, m.
        thickness: Thickness of the layers from above, m.
    """
    top = itertools.accumulate((0.0, *thickness[:-1]))
    return jnp.stack([jnp.clip((depth - z) / d, 0.0, 1.0) for z, d in zip(top, thickness, strict=True)])


def storage_curve_fraction(exponent: PerCell, filling: PerCell, storage: PerCell, depth: PerCell) -> PerCell:
    r"""Share of an event that runs off the VIC curve of storage capacities, 1 (form D3).

    $$ R = P - W_m(1-W) + W_m \max\left(0, 1 - \frac{i_0 + P}{i_m}\right)^{1+b}, \quad
       i_m = (1+b) W_m, \quad i_0 = i_m \left(1 - (1-W)^{1/(1+b)}\right) . $$

    Args:
        exponent (cell,): b, 1.
        filling (cell,): Relative filling W, 1.
        storage (cell,): Storage capacity W_m of the upper soil, kg m-2.
        depth (cell,): Water P of the event, kg m-2.

    Source:
        liang1994, eqs. 13 to 19; zhao1992.
    """
    b = jnp.maximum(exponent, 1e-3)
    w = jnp.clip(filling, FILLING_MARGIN, 1.0 - FILLING_MARGIN)
    p = depth / storage
    dry_power = jnp.exp(jnp.log(1.0 - w) / (1.0 + b))  # 1 - i_0 / i_m
    unfilled = smooth.power(jnp.maximum(dry_power - p / (1.0 + b), 0.0), 1.0 + b)
    wet = depth > 1e-9
    runoff = jnp.clip(p - (1.0 - w) + unfilled, 0.0, p)
    # a vanishing event runs off by the saturated area alone
    return jnp.where(wet, runoff / jnp.where(wet, p, 1.0), 1.0 - jnp.exp(b / (1.0 + b) * jnp.log(1.0 - w)))


def partition(
    parameters: Parameters,
    form: str,
    water_input: PerCell,
    input_heat: PerCell,
    upper_water: PerCell,
    upper_capacity: PerCell,
    puddle: PerCell,
    dt: float,
) -> Partition:
    """Divide the liquid that reaches the ground between direct runoff and the puddle.

    Args:
        parameters: dcor and puddle capacity.
        form: Reading of dcor, one of D1 ... D5 (static).
        water_input (cell,): Rain through the canopy and outflow of the snow, kg m-2 s-1.
        input_heat (cell,): Its enthalpy flux, W m-2.
        upper_water (cell,): Liquid and ice above the contributing depth, kg m-2.
        upper_capacity (cell,): Pore capacity of the same depth, kg m-2.
        puddle (cell,): Water on the surface, kg m-2.
        dt: Step, s.

    Returns:
        Both parts with their heat, and what the form implies for puddle and infiltration.

    Source:
        dong2026 (dcor), foley1996 (puddles of D1 and D2), liang1994 (D3).
    """
    require_choice(form, "form", FORMS)
    dcor, capacity = parameters.dcor, parameters.puddle_capacity
    threshold = parameters.contributing_threshold
    filling = (upper_water / upper_capacity - threshold) / (1.0 - threshold)
    factor = dcor if form == "D1" else jnp.ones_like(dcor)
    capacity = dcor * LSX_PUDDLE_CAPACITY if form == "D2" else capacity
    if form in ("D1", "D2"):  # puddle capacities uniform between 0 and the largest: LSX's own rule
        fraction = jnp.clip(puddle / capacity, 0.0, 1.0)
    elif form == "D3":
        fraction = storage_curve_fraction(dcor, filling, upper_capacity, water_input * dt)
    elif form == "D4":
        w = jnp.clip(filling, FILLING_MARGIN, 1.0)
        fraction = jnp.clip(dcor, 0.0, 1.0) * w * jnp.sqrt(w)
    else:
        fraction = contributing_area(dcor, filling)
    return Partition(
        direct_runoff=fraction * water_input,
        direct_runoff_heat=fraction * input_heat,
        supply=water_input - fraction * water_input,
        supply_heat=input_heat - fraction * input_heat,
        puddle_capacity=capacity,
        capacity_factor=factor,
    )
