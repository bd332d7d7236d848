"""What every worker needs, loaded once by the process that workers are forked from: they share its memory.

Importing this module is all that is done with it (`workers.worker_context`).
"""

from __future__ import annotations

import gc

import xrfree.batch.work  # noqa: F401
from xrfree.kernels import first_run

first_run.load_all()
gc.freeze()  # the collector would write to pages that are shared otherwise
