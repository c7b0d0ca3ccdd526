"""What is kept of lakes day by day: their level and area, and the flow through their mouths."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.domain.domain import Domain
from chase_jax.model import surface_water
from chase_jax.model.chase import Chase
from chase_jax.model.containers import Fluxes, State

FILM = 1e-3  # m, depth of which a cell counts as half wet
DRY = 1e-9  # m, that much more where a level is sought, so that a lake that is dry has one: its bed


class LakeRecord:
    """Sums over the patch cells of each lake.

    Attributes:
        numbers: Numbers of the lakes that are solved as patches, increasing.
    """

    def __init__(self, domain: Domain) -> None:
        """Lakes of a domain. Argument: the domain."""
        index = np.asarray(domain.lakes.lake_index)
        numbers = np.unique(index[index > 0])
        self.numbers = tuple(int(number) for number in numbers)
        self._lake_of_cell = jnp.asarray(np.searchsorted(numbers, index) if numbers.size else index * 0)
        self._of_lake = jnp.asarray(np.isin(index, numbers))

    def series(self, model: Chase, state: State, fluxes: Fluxes) -> dict[str, jax.Array]:
        """Level, m, area, m2, inflow and outflow, m3 s-1, of every lake (lake,) by name.

        Args:
            model: The model.
            state: Stores at the end of a day.
            fluxes: Means over the day.
        """
        names = ("lake_level", "lake_area", "lake_inflow", "lake_outflow")
        if not self.numbers:
            return {name: jnp.zeros(0) for name in names}
        lakes = model.domain.lakes
        level, area = self._level_and_area(model, state)
        across = fluxes.discharge[lakes.mouth_tail]
        into = jnp.where(lakes.inward, across, -across)
        inflow, outflow = (self._sum(jnp.maximum(way, 0.0), lakes.mouth_lake) for way in (into, -into))
        return dict(zip(names, (level, area, inflow, outflow), strict=True))

    def levels(self, model: Chase, state: State) -> jax.Array:
        """Level of every lake (lake,), m. Arguments: the model, and stores at the end of a day."""
        return self._level_and_area(model, state)[0] if self.numbers else jnp.zeros(0)

    def _level_and_area(self, model: Chase, state: State) -> tuple[jax.Array, jax.Array]:
        """Mean level of the wet cells, or of all where none is, m, and the wet area, m2."""
        d = model.domain
        lakes = d.lakes
        depth = surface_water.depth(model.parameters.channel, model.geometry, state.water)[lakes.cell]
        level = (d.surface_altitude - d.bed_depth)[lakes.cell] + depth
        wet = jnp.where(self._of_lake, lakes.area * depth / (depth + FILM), 0.0)
        every = jnp.arange(lakes.cell.shape[0])
        counted = jnp.where(self._of_lake, lakes.area * (depth + DRY) / (depth + FILM), 0.0)
        return self._sum(counted * level, every) / self._sum(counted, every), self._sum(wet, every)

    def _sum(self, values: jax.Array, position: jax.Array) -> jax.Array:
        """Sum over each lake (lake,) of values at some of its patch cells. Arguments: values and their positions."""
        member = self._of_lake[position]
        whole = jnp.zeros(len(self.numbers))
        return whole.at[self._lake_of_cell[position]].add(jnp.where(member, values, 0.0), mode="drop")
