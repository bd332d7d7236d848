"""Memory that was freed, given back to the system: between blocks, none of it is of use to this process.

Both functions do nothing where the C library is not GNU's, which alone keeps so much.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_MMAP_THRESHOLD = -3
"""Of `mallopt`: from which size on memory is asked of the system, and returned to it when it is freed."""
_LARGE_BYTES = 2**20


def give_back() -> None:
    """Return free pages amid the heap."""
    library = _library()
    if library is not None:
        library.malloc_trim(0)


def hold_large_apart() -> None:
    """Keep large objects out of the heap from now on, for a process that passes on what others calculate.

    By itself the library takes larger ones into the heap each time one is freed, and what comes to lie behind them
    keeps their place occupied. A process that calculates would lose a tenth of its speed.
    """
    library = _library()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)


@cache
def _library() -> ctypes.CDLL | None:
    """The GNU C library, which is found among what is loaded; others do not trim."""
    loaded = ctypes.CDLL(None) if sys.platform == "linux" else None
    return loaded if hasattr(loaded, "malloc_trim") else None
