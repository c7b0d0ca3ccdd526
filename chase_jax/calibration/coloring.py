"""Derivatives by many unknowns from few tangents, where no place feels two unknowns of the same tangent.

Catchments that neither drain into each other nor exchange ground water are apart: what is changed in one is not felt in
the others. So a tangent may stand for a parameter of every one of them at once, and derivatives by the parameters of a
hundred catchments cost what those of one do.

Source:
    curtis1974 (columns of a sparse Jacobian that share no row may be found together).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chase_jax.domain import lakes
from chase_jax.domain.domain import Domain


def parts(domain: Domain) -> np.ndarray:
    """Number of the part of the domain in which each cell lies (cell,), 1; no water goes from one part to another.

    Args:
        domain: The domain, connected by its rivers, lakes and ground water.
    """
    downstream = np.asarray(domain.drainage.downstream)
    drained = np.flatnonzero(downstream >= 0)
    edges = domain.faces.edges
    tail = np.concatenate([drained, np.asarray(edges.tail)])
    head = np.concatenate([downstream[drained], np.asarray(edges.head)])
    return lakes.connected_components(tail, head, domain.cells)


@dataclasses.dataclass(frozen=True)
class Coloring:
    """Which unknowns share a tangent, and whose derivative it is at each place.

    Attributes:
        directions (tangent, unknown): 1 for the unknowns of a tangent, else 0.
        felt (tangent, place): Number of the unknown that a place feels in a tangent, 1; -1 for none.
    """

    directions: np.ndarray
    felt: np.ndarray

    @classmethod
    def of(cls, touched: np.ndarray, part_of_place: np.ndarray) -> Coloring:
        """The coloring that puts each unknown into the first tangent that is free where it acts.

        Args:
            touched (unknown, part): Whether an unknown acts in a part of the domain.
            part_of_place (place,): Number of the part in which a place lies, 1.
        """
        tangents: list[np.ndarray] = []  # (part,) number of the unknown there, -1 for none
        color = np.zeros(len(touched), dtype=int)
        for unknown, here in enumerate(touched):
            free = (k for k, taken in enumerate(tangents) if not (here & (taken >= 0)).any())
            color[unknown] = number = next(free, len(tangents))
            if number == len(tangents):
                tangents.append(np.full(touched.shape[1], -1))
            tangents[number][here] = unknown
        directions = (color == np.arange(len(tangents))[:, None]).astype(float)
        return cls(directions, np.array(tangents).reshape(len(tangents), -1)[:, part_of_place])

    def spread(self, slopes: np.ndarray) -> np.ndarray:
        """Derivatives (unknown, day, place) by every unknown.

        Args:
            slopes (tangent, day, place): Those along the tangents.
        """
        full = np.zeros((self.directions.shape[1], *slopes.shape[1:]))
        for along, felt in zip(slopes, self.felt, strict=True):
            places = np.flatnonzero(felt >= 0)
            full[felt[places], :, places] = along[:, places].T
        return full
