"""The one decorator of all kernels.

Lazy compilation (read-only arrays are accepted), cached on disk, without the interpreter's lock, IEEE division.
No full `fastmath` and no `parallel`: results must not depend on NaN-blind algebra or on the number of threads. Sums
that must use vector registers are `summing` kernels, whose order of addition is free; NaN and infinity pass through.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile `function` with the options of the house; its plain Python form stays at `.py_func`."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast("Callable[Parameters, Result]", compiled)


def summing(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """`kernel` for sums whose terms may be added in any order."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})(
        function
    )
    return cast("Callable[Parameters, Result]", compiled)


def lies_compiled(function: Callable[..., object]) -> bool:
    """Whether a kernel's machine code lies on the disk, not older than its source; True where nothing is compiled."""
    stats = getattr(function, "stats", None)
    if stats is None:
        return True
    source = Path(inspect.getfile(inspect.unwrap(function)))
    files = Path(stats.cache_path).glob(f"{source.stem}.{function.__name__}-*.nbc")
    return any(file.stat().st_mtime >= source.stat().st_mtime for file in files)
