"""Compositions of what the processes define; no logic."""

from __future__ import annotations

import equinox as eqx

from chase_jax.model import glacier_tile, land, surface_water
from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.numerics.tree import Tree
from chase_jax.physics import channel, groundwater, seepage
from chase_jax.typing import PerCell, Scalar


class Parameters(eqx.Module):
    """All parameters; every leaf is differentiable.

    Attributes:
        land: Columns, (cell,) leaves.
        glacier: Glaciers, (glacier,) leaves.
        aquifer: Aquifer, (cell,).
        seepage: Exchange of aquifer with rivers and lakes, (cell,).
        channel: Channels, (cell,).
    """

    land: land.Parameters
    glacier: glacier_tile.Parameters
    aquifer: groundwater.Parameters
    seepage: seepage.Parameters
    channel: channel.Parameters


class State(eqx.Module):
    """All stores: what a restart needs, no more.

    Attributes:
        land: Canopy, snow, soil, warmth of open water, (cell,) leaves.
        glacier: Snow and ice, (glacier,) leaves.
        aquifer: Storage (cell,), m.
        water: Volume of rivers and lakes (cell,), m3.
    """

    land: land.State
    glacier: glacier_tile.State
    aquifer: groundwater.State
    water: surface_water.State


class Solvers(eqx.Module):
    """How the equations are solved.

    Attributes:
        reach: Solver of the rivers and its longest step.
        aquifer: Solver of the aquifer, one step a day.
        lake: Conjugate gradients of the lake patches.
    """

    reach: Tree | Jacobi = Tree()
    aquifer: groundwater.Explicit | groundwater.Implicit = groundwater.Implicit()
    lake: ConjugateGradient = surface_water.LAKE_SOLVER


class Residuals(eqx.Module):
    """What does not add up in a day: |change - net inflow| over the fluxes, or over 1 mm where they are less.

    Attributes:
        land (cell,): Water of the land tile, 1.
        glacier (cell,): Water of the glacier tile, 1; zero without one.
        aquifer (cell,): Water of the aquifer, 1.
        rivers (): Water of all rivers and lakes, 1.
        total (): Water of the whole domain, 1.
        energy (cell,): Largest of land sub-steps, glacier sub-steps and open water, W m-2.
    """

    land: PerCell
    glacier: PerCell
    aquifer: PerCell
    rivers: Scalar
    total: Scalar
    energy: PerCell


class Fluxes(eqx.Module):
    """Means over a day, per unit area of the *cell*: kg m-2 s-1, W m-2; discharge in m3 s-1.

    Attributes:
        land: Fluxes of the land tile, times its fraction; temperature and residual as they are.
        precipitation: On the whole cell.
        glacier_runoff: From the glacier tile.
        glacier_evaporation: From the glacier tile.
        glacier_melt: Melt of ice.
        open_water_evaporation: From river or lake.
        water_precipitation: On river or lake.
        seepage: From the aquifer into river or lake.
        exfiltration: From a full aquifer to the surface.
        lateral: Net inflow of the aquifer from its neighbors.
        submarine_groundwater_discharge: From the aquifer into the sea; negative where the sea comes in.
        sensible_heat: Of all tiles.
        latent_heat: Of all tiles.
        net_radiation: Of all tiles.
        discharge (cell,): To the next cell or out, m3 s-1, signed.
        outflow (cell,): Out of the domain at outlets, m3 s-1; negative where the sea runs into a river.
        residuals: What does not add up.
    """

    land: land.Fluxes
    precipitation: PerCell
    glacier_runoff: PerCell
    glacier_evaporation: PerCell
    glacier_melt: PerCell
    open_water_evaporation: PerCell
    water_precipitation: PerCell
    seepage: PerCell
    exfiltration: PerCell
    lateral: PerCell
    submarine_groundwater_discharge: PerCell
    sensible_heat: PerCell
    latent_heat: PerCell
    net_radiation: PerCell
    discharge: PerCell
    outflow: PerCell
    residuals: Residuals

    @property
    def evaporation(self) -> PerCell:
        """All vapor, kg m-2 s-1."""
        return self.land.evaporation + self.glacier_evaporation + self.open_water_evaporation

    @property
    def runoff(self) -> PerCell:
        """What land, glacier and aquifer give to rivers and lakes, kg m-2 s-1."""
        return self.land.surface_runoff + self.glacier_runoff + self.seepage + self.exfiltration

    @property
    def water_yield(self) -> PerCell:
        """Runoff and what the aquifer gives to its neighbors on balance, kg m-2 s-1: what a cell yields."""
        return self.runoff - self.lateral
