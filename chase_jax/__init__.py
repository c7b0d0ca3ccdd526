"""A differentiable, fully coupled land-surface, groundwater and river-lake model on a 1-km grid."""

import jax

jax.config.update("jax_enable_x64", True)
