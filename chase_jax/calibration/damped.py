r"""Damped Gauss-Newton steps for many small problems at once, each with a few unknowns between bounds.

$$ (J^T J + \lambda\,\mathrm{diag}\,J^T J)\,\Delta u = -J^T r $$

in every cell, r its residuals and J their derivatives; and Broyden's rank-one update of J from what a step did.

Source:
    levenberg1944; marquardt1963; broyden1965.
"""

from __future__ import annotations

import numpy as np

from chase_jax.calibration.transforms import MARGIN

LIMIT = float(np.log1p(-MARGIN) - np.log(MARGIN))  # 1, unknown at which a bound counts as reached
LONGEST_STEP = 2.0  # 1, of an unknown in one trial
FIRST_DAMPING, LEAST_DAMPING = 0.1, 1e-6  # 1
LESS_DAMPING, MORE_DAMPING = 0.3, 10.0  # 1, factors after a trial that is better, and one that is not


def step(jacobian: np.ndarray, residuals: np.ndarray, damping: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Damped step (parameter, cell), no longer than allowed and within the bounds, 1.

    Where one parameter is held at its bound, the others answer for it.

    Args:
        jacobian (cell, residual, parameter): Derivatives J, 1.
        residuals (residual, cell): Residuals r, 1.
        damping (cell,): Damping, 1.
        at (parameter, cell): Unknowns from which the step begins, 1.
    """
    r = residuals.T[:, :, None]
    moved_by = _solve(jacobian, r, damping)
    beyond = np.abs(at.T + moved_by) > LIMIT
    held = np.clip(at.T + moved_by, -LIMIT, LIMIT) - at.T
    moved = r[:, :, 0] + np.einsum("csp,cp->cs", jacobian, np.where(beyond, held, 0.0))
    rest = _solve(np.where(beyond[:, None, :], 0.0, jacobian), moved[:, :, None], damping)
    moved_by = np.where(beyond, held, np.where(beyond.any(axis=1, keepdims=True), rest, moved_by))
    moved_by = np.clip(moved_by, -LONGEST_STEP, LONGEST_STEP)
    moved_by = np.nan_to_num(moved_by)  # where a derivative is no number, a cell stays as it is
    return np.clip(at + moved_by.T, -LIMIT, LIMIT) - at


def updated(jacobian: np.ndarray, taken: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Broyden's update: the derivatives (cell, residual, parameter) closest to the old ones that explain a step.

    Args:
        jacobian (cell, residual, parameter): The old derivatives, 1.
        taken (parameter, cell): The step, 1.
        change (residual, cell): What it changed in the residuals, 1.
    """
    length = (taken**2).sum(axis=0)
    unexplained = change.T - np.einsum("csp,pc->cs", jacobian, taken)
    new = jacobian + unexplained[:, :, None] * taken.T[:, None, :] / np.maximum(length, 1e-12)[:, None, None]
    return np.where((length > 1e-8)[:, None, None], new, jacobian)


def _solve(jacobian: np.ndarray, r: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Solution (cell, parameter) of the damped normal equations; zero for parameters without effect."""
    transposed = jacobian.swapaxes(1, 2)
    normal = transposed @ jacobian
    diagonal = np.einsum("cpp->cp", normal)
    size = np.maximum(diagonal, 1e-12)
    eye = np.eye(jacobian.shape[2])
    return np.linalg.solve(normal + eye * (damping[:, None] * size + (size - diagonal))[:, None, :], -(transposed @ r))[
        :, :, 0
    ]
