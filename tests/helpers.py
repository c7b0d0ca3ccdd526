"""What tests share: derivative checks, relative residuals, refusals."""

from __future__ import annotations

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import cli


def refused(capsys, words, folder):
    """The one line with which `chase calibrate` refuses words; it leaves no folder."""
    assert cli.main(["calibrate", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not folder.exists()
    return error


def experiment(name):
    """The module `experiments/NAME.py`."""
    path = pathlib.Path(__file__).parents[1] / "experiments" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def relative_residual(change, net_inflow, absolute_fluxes):
    """Residual of a store as the documentation defines it: relative to the fluxes, or to 1 mm if they are less."""
    return np.max(np.abs(change - net_inflow) / np.maximum(absolute_fluxes, 1.0))


def directional_check(function, arguments, seed=0, steps=(1e-4, 1e-5, 1e-6), tolerance=1e-5, scale=None):
    """Compare reverse- and forward-mode derivatives of a scalar function with central differences.

    The direction is random, scaled by each leaf's own size. The best of several step widths counts, because one width
    cannot suit every function. Returns the relative difference.
    """
    leaves, tree = jax.tree.flatten(arguments)
    generator = np.random.default_rng(seed)
    direction = []
    for leaf in leaves:
        size = np.maximum(np.abs(np.asarray(leaf)), 1e-3 if scale is None else scale)
        direction.append(jnp.asarray(generator.standard_normal(np.shape(leaf)) * size))
    rebuilt = jax.tree.unflatten(tree, direction)
    _, forward = jax.jvp(function, (arguments,), (rebuilt,))
    gradient = jax.grad(function)(arguments)
    reverse = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), direction, strict=True))
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(gradient)), "a gradient is not finite"
    errors = []
    for step in steps:
        up = jax.tree.map(lambda a, d, h=step: a + h * d, arguments, rebuilt)
        down = jax.tree.map(lambda a, d, h=step: a - h * d, arguments, rebuilt)
        difference = (function(up) - function(down)) / (2.0 * step)
        errors.append(float(jnp.abs(difference - reverse) / jnp.maximum(jnp.abs(difference), 1e-12)))
    assert float(jnp.abs(forward - reverse) / jnp.maximum(jnp.abs(reverse), 1e-12)) < 1e-8, (forward, reverse)
    assert min(errors) < tolerance, errors
    return min(errors)
