"""Thomas elimination down a short column of layers, with the derivative of a linear solve.

The layers come as a tuple of arrays, one per layer, and the loops over them are unrolled: for six layers this is
several times faster than a library call, and no array is ever stacked. There is no pivoting; the matrices of implicit
diffusion and upstream advection are diagonally dominant by columns and need none.
"""

from __future__ import annotations

import equinox as eqx
import jax

from chase_jax.numerics.fence import fenced

Layers = tuple[jax.Array, ...]


class Factors(eqx.Module):
    """Elimination of a tridiagonal matrix, reusable for any number of right-hand sides.

    Attributes:
        lower (layer): Entries left of the diagonal; the first is not used.
        inverse_pivot (layer): Reciprocals of the pivots.
        ratio (layer): Entries right of the diagonal over the pivots; the last is not used.
    """

    lower: Layers
    inverse_pivot: Layers
    ratio: Layers


@fenced()
def factorize(lower: Layers, diagonal: Layers, upper: Layers) -> Factors:
    r"""Pivots of the matrix: $p_k = d_k - l_k u_{k-1} / p_{k-1}$.

    Args:
        lower (layer): Entry of row k in column k - 1; the first is not used. Any unit.
        diagonal (layer): Entry of row k in column k.
        upper (layer): Entry of row k in column k + 1; the last is not used.
    """
    inverse_pivot, ratio = [1.0 / diagonal[0]], [upper[0] / diagonal[0]]
    for below, center, above in zip(lower[1:], diagonal[1:], upper[1:], strict=True):
        inverse_pivot.append(1.0 / (center - below * ratio[-1]))
        ratio.append(above * inverse_pivot[-1])
    return Factors(tuple(lower), tuple(inverse_pivot), tuple(ratio))


@fenced()
def substitute(factors: Factors, right: Layers) -> Layers:
    """Solution for one right-hand side, by forward and backward substitution.

    Args:
        factors: What :func:`factorize` returned.
        right (layer): Right-hand side.
    """
    forward = [right[0] * factors.inverse_pivot[0]]
    for below, inverse, value in zip(factors.lower[1:], factors.inverse_pivot[1:], right[1:], strict=True):
        forward.append((value - below * forward[-1]) * inverse)
    solution = [forward[-1]]
    for ratio, value in zip(factors.ratio[-2::-1], forward[-2::-1], strict=True):
        solution.append(value - ratio * solution[-1])
    return tuple(solution[::-1])


@jax.custom_jvp
def solve(lower: Layers, diagonal: Layers, upper: Layers, right: Layers) -> Layers:
    r"""Solution x of $l_k x_{k-1} + d_k x_k + u_k x_{k+1} = r_k$.

    Its derivative is that of the linear system, $A\,dx = dr - dA\,x$: one more substitution with the factors at hand
    instead of the derivative of every elimination step.

    Args:
        lower (layer): l; the first is not used. Any unit.
        diagonal (layer): d.
        upper (layer): u; the last is not used.
        right (layer): r.
    """
    return substitute(factorize(lower, diagonal, upper), right)


@solve.defjvp
def _solve_jvp(primals, tangents):
    lower, diagonal, upper, right = primals
    factors = factorize(lower, diagonal, upper)
    solution = substitute(factors, right)
    return solution, substitute(factors, _tangent_right(tangents, solution))


@fenced()
def _tangent_right(tangents, solution: Layers) -> Layers:
    """The right-hand side dr - dA x of the tangent system."""
    d_lower, d_diagonal, d_upper, d_right = tangents
    last = len(solution) - 1
    rows = []
    for k, x in enumerate(solution):
        row = d_right[k] - d_diagonal[k] * x
        row = row - d_lower[k] * solution[k - 1] if k > 0 else row
        row = row - d_upper[k] * solution[k + 1] if k < last else row
        rows.append(row)
    return tuple(rows)
