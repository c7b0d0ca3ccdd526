"""Mean flow of rivers from the climate, and the channels that belong to it."""

from __future__ import annotations

import numpy as np

BANKFULL_RATIO = 5.0  # 1, bankfull over mean flow; choice of this project
WIDTH_FACTOR, LEAST_WIDTH = 5.0, 5.0  # m (m3 s-1)-1/2 and m; andreadis2013 gives 7.2 with a range of 2.6 to 20
DEPTH_FACTOR, LEAST_DEPTH = 0.27, 0.5  # m (m3 s-1)-0.3 and m; andreadis2013


def pike_evaporation(precipitation: np.ndarray, potential_evapotranspiration: np.ndarray) -> np.ndarray:
    r"""Mean evaporation, $P / \sqrt{1 + (P/E_p)^2}$, in the unit of the arguments.

    Args:
        precipitation (...): P, over years.
        potential_evapotranspiration (...): E_p, likewise, > 0.

    Source:
        pike1964.
    """
    return precipitation / np.sqrt(1.0 + (precipitation / potential_evapotranspiration) ** 2)


def width_and_depth(mean_flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Bankfull width $5\,Q_b^{0.5}$ and depth $0.27\,Q_b^{0.3}$, m, of a bankfull flow of five times the mean.

    Args:
        mean_flow (...): Mean flow, m3 s-1.

    Source:
        andreadis2013, with a smaller width.
    """
    bankfull = BANKFULL_RATIO * mean_flow
    width = np.maximum(WIDTH_FACTOR * np.sqrt(bankfull), LEAST_WIDTH)
    return width, np.maximum(DEPTH_FACTOR * bankfull**0.3, LEAST_DEPTH)
