"""One thread per process: results must not depend on how a library splits its sums."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Variables that numerical libraries read when they are loaded."""


def limit_threads() -> None:
    """Keep libraries that are not loaded yet, and all processes started from here, to one thread."""
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started inside are kept to one thread; the variables are restored afterwards."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    limit_threads()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
