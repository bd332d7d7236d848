"""What every worker needs, loaded once by the process that workers are forked from: they share its memory.

Importing this module is all that is done with it (`workers.worker_context`).
"""

from __future__ import annotations

import gc

import xrfree.batch.work  # noqa: F401
from xrfree.kernels.lineshape import gaussian

# The first call of any kernel makes numba set up its tables of types, the largest part of what it needs.
gaussian(0.0)
gc.freeze()  # the collector would write to pages that are shared otherwise
