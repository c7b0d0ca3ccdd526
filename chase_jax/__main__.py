"""`python -m chase_jax VERB ...` is the command `chase`."""

import sys

from chase_jax.cli import main

sys.exit(main())
