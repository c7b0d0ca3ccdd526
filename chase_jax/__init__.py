"""A differentiable, fully coupled land-surface, groundwater and river-lake model on a 1-km grid."""

import jax

jax.config.update("jax_enable_x64", True)

from chase_jax.io.domain_store import open_domain  # noqa: E402
from chase_jax.io.forcing_store import open_forcing  # noqa: E402
from chase_jax.model import site  # noqa: E402
from chase_jax.model.chase import Chase, Result, at_gauges, run, runoff_depth  # noqa: E402
from chase_jax.model.defaults import parameters  # noqa: E402
from chase_jax.model.initial import initial_state  # noqa: E402
from chase_jax.model.site import Site  # noqa: E402
from chase_jax.workflows import simulate  # noqa: E402

__all__ = [
    "Chase",
    "Result",
    "Site",
    "at_gauges",
    "initial_state",
    "open_domain",
    "open_forcing",
    "parameters",
    "run",
    "runoff_depth",
    "simulate",
    "site",
]
