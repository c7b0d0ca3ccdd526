r"""Conjugate gradients for a diagonal plus a graph Laplacian, as aquifers and lakes pose it.

$$ (\operatorname{diag}(d) + G^T \operatorname{diag}(c)\, G)\, x = b, \qquad d > 0,\; c \ge 0 $$

with G the difference along edges. The matrix is symmetric and positive definite. It is scaled to a unit diagonal on
both sides, which is the Jacobi preconditioner, and the right side to a largest entry of one, so that one tolerance
serves any unit.

The derivative is that of the solved system, by one more solve with the same matrix. It is attached here by
`custom_linear_solve` rather than left to the iteration's own rule, because that rule raises where it does not converge,
whatever the forward solve was told.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx

from chase_jax.numerics.coarse import Squares
from chase_jax.numerics.graph import EdgeList
from chase_jax.typing import PerCell, PerEdge, Scalar

ROUNDING_MARGIN = 100.0  # 1, a tolerance below this many units of rounding cannot be met


class Report(eqx.Module):
    """How a solve ended.

    Attributes:
        steps: Number of iterations, 1.
        residual: Largest entry of the scaled residual over that of the scaled right side, 1.
    """

    steps: jax.Array
    residual: Scalar


class ConjugateGradient(eqx.Module):
    """Solver settings, all static.

    Attributes:
        tolerance: Largest scaled residual and largest last change, relative, 1; 1e-8 or less for good gradients.
        max_steps: Iterations after which the value is returned as it is.
    """

    tolerance: float = eqx.field(static=True, default=1e-10)
    max_steps: int = eqx.field(static=True, default=2000)

    def __call__(
        self,
        edges: EdgeList,
        diagonal: PerCell,
        conductance: PerEdge,
        right: PerCell,
        squares: Squares | None = None,
    ) -> tuple[PerCell, Report]:
        """Solve for x, with implicit derivatives with respect to `diagonal`, `conductance` and `right`.

        Args:
            edges: The graph.
            diagonal (cell,): d, any unit, > 0.
            conductance (edge,): c, same unit, >= 0.
            right (cell,): b, any unit.
            squares: The coarse half of the preconditioner; none by default.

        Returns:
            Solution (cell,), unit of `right` over that of `diagonal`, and the report.
        """
        root = jnp.sqrt(jax.lax.stop_gradient(diagonal + edges.total(conductance)))
        inverse = 1.0 / root

        def product(x):
            return inverse * (diagonal * (inverse * x) + edges.laplacian(conductance, inverse * x))

        precondition = None
        if squares is not None:
            known = jax.lax.stop_gradient((diagonal, conductance))
            coarse = squares.inverse(edges, *known)

            def precondition(x):
                return x + root * squares.spread(coarse, root * x)

        def iterate(product, right):
            return self._iterate(product, right, precondition)

        # The report is made outside the differentiated solve; its matrix-vector product costs one more step.
        scaled = inverse * right
        solution, steps = jax.lax.custom_linear_solve(product, scaled, iterate, symmetric=True, has_aux=True)
        left = jax.lax.stop_gradient(jnp.max(jnp.abs(scaled - product(solution)), initial=0.0))
        largest = jax.lax.stop_gradient(jnp.max(jnp.abs(scaled), initial=0.0))
        return inverse * solution, Report(steps, left / jnp.where(largest > 0.0, largest, 1.0))

    def _iterate(self, product, right: PerCell, precondition) -> tuple[PerCell, jax.Array]:
        """Iterate to the tolerance; never raises."""
        largest = jnp.max(jnp.abs(right), initial=0.0)
        size = jnp.where(largest > 0.0, largest, 1.0)
        tolerance = max(self.tolerance, ROUNDING_MARGIN * float(jnp.finfo(right.dtype).eps))
        shape, tags = jax.ShapeDtypeStruct(right.shape, right.dtype), (lx.symmetric_tag, lx.positive_semidefinite_tag)
        operator = lx.FunctionLinearOperator(product, shape, tags)
        options = (
            {} if precondition is None else {"preconditioner": lx.FunctionLinearOperator(precondition, shape, tags)}
        )
        solver = lx.CG(rtol=tolerance, atol=tolerance, max_steps=self.max_steps)
        answer = lx.linear_solve(operator, right / size, solver, options=options, throw=False)
        return answer.value * size, jnp.asarray(answer.stats["num_steps"])
