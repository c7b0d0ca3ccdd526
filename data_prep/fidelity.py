"""How far a coarse drainage network is from the fine one it stands for: areas, lengths of streams, loops."""

from __future__ import annotations

import numpy as np

from data_prep import hydrography

SMALLEST = 100  # fine cells that drain to an exit, from which areas are compared
CLOSE = 0.03  # 1, deviation up to which areas agree


def measure(
    direction: np.ndarray, active: np.ndarray, coarse: hydrography.Upscaled, factor: int, fine_size: float
) -> dict[str, float]:
    """Compare a coarse network with its fine one at the exits of the coarse cells.

    Args:
        direction (row, column): Fine D8 codes without loops, 1.
        active (row, column): True for fine cells of the domain.
        coarse: The coarse network.
        factor: Fine cells per coarse cell in each direction.
        fine_size: Width of a fine cell, m.

    Returns:
        `cells`; `loops`, cells on or below a loop; `ends`, cells that pass water to no other, and `fine_ends`; of the
        exits with more than 100 fine cells above them, their number `compared`, and the parts whose upstream area is
        within 3 % of the fine one with squares (`squares_within`) and with unit catchments (`units_within`) as areas of
        cells; `length_ratio` and `straight_ratio`, mean ratio of the way from an exit to the end of its river to that
        on the fine network, with the lengths of channels and with straight ones.
    """
    receiver = np.where(active.ravel(), hydrography.receivers(direction), -1)
    receiver[(receiver >= 0) & ~active.ravel()[np.maximum(receiver, 0)]] = -1
    on, exits = coarse.active.ravel(), coarse.exit.ravel()
    target = np.where(on, hydrography.receivers(coarse.direction), -1)
    unit = hydrography.unit_catchments(receiver, exits)
    number = np.bincount(unit[unit >= 0], minlength=on.size).astype(float)
    upstream = np.nan_to_num(coarse.upstream.ravel())
    large = on & (upstream > SMALLEST)

    def within(area: np.ndarray) -> float:
        found = hydrography.accumulate(target, np.where(on, area, 0.0))
        return float((np.abs(found[large] / upstream[large] - 1.0) <= CLOSE).mean())

    straight = hydrography.straight_length(coarse.direction, factor * fine_size)
    length = np.where(np.isfinite(coarse.length), coarse.length * fine_size, straight)
    fine_way = way(receiver, hydrography.straight_length(direction, fine_size).ravel())[np.maximum(exits, 0)]
    running = on & (target >= 0) & (fine_way > 0.0)
    ratios = [float((way(target, s.ravel())[running] / fine_way[running]).mean()) for s in (length, straight)]
    return {
        "cells": float(on.sum()),
        "loops": float(hydrography.drainage_fronts(target)[1].sum()),
        "ends": float((on & (target < 0)).sum()),
        "fine_ends": float((active.ravel() & (receiver < 0)).sum()),
        "compared": float(large.sum()),
        "squares_within": within(np.full(on.size, float(factor**2))),
        "units_within": within(number),
        "length_ratio": ratios[0],
        "straight_ratio": ratios[1],
    }


def way(receiver: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Length of the way (cell,) from every cell to the end of its river.

    Args:
        receiver (cell,): Flat index of the receiving cell, -1 for none.
        length (cell,): Distance to the receiving cell, any unit.
    """
    total = np.zeros(receiver.size)
    for front in reversed(hydrography.drainage_fronts(receiver)[0]):
        giving = front[receiver[front] >= 0]
        total[giving] = length[giving] + total[receiver[giving]]
    return total
