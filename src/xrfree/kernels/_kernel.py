"""The decorators of all kernels.

Compilation when first called (read-only arrays are accepted) or by `first_run`, cached on disk, without the
interpreter's lock, IEEE division. No full `fastmath` and no `parallel`: results must not depend on NaN-blind algebra or
on the number of threads. Sums that must use vector registers are `summing` kernels, whose order of addition is free;
NaN and infinity pass through.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import event

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Types of arguments: numbers, and arrays by their dimensions; R of arrays that must not be changed.
F: Any = numba.float64
F1, F2, F3 = F[::1], F[:, ::1], F[:, :, ::1]
R1, R2, R3 = (numba.types.Array(F, n, "C", readonly=True) for n in (1, 2, 3))
I: Any = numba.int64  # noqa: E741 - the letter of the type, like the others
I1 = I[::1]
B1: Any = numba.boolean[::1]

_OPTIONS: Any = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
"""Nothing here is called from C: without wrappers for it kernels compile some per cent faster."""

ENTRIES: dict[str, list[tuple[Any, tuple[Any, ...]]]] = {}
"""Kernels that are called from Python, by module, each with the types of its arguments."""


class _Teller(event.Listener):
    """Says once per process that it compiles, where nobody has said it before: a script or a notebook."""

    told = False

    def on_start(self, event: Any) -> None:
        """Compilation of a function begins."""
        if not self.told and event.data["dispatcher"].py_func.__module__.startswith(__package__):
            self.told = True
            logging.getLogger("xrfree").warning(
                "First run: compiling numerical kernels, once on this machine; this takes up to half a minute."
            )

    def on_end(self, event: Any) -> None:
        """Compilation of a function ends."""


event.register("numba:compile", _Teller())  # type: ignore[no-untyped-call]


def of(kind: Any, n: int) -> Any:
    """The type of a tuple of n alike."""
    return numba.types.UniTuple(kind, n)  # type: ignore[no-untyped-call]


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile `function` with the options of the house; its plain Python form stays at `.py_func`."""
    compiled = numba.njit(**_OPTIONS)(function)
    return cast("Callable[Parameters, Result]", compiled)


def entry(*types: Any) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """`kernel` that is called from Python with arguments of these types; a first run compiles it for them."""

    def noted(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        compiled = kernel(function)
        if compiled is not function:  # else numba was told to compile nothing
            ENTRIES.setdefault(function.__module__, []).append((compiled, types))
        return compiled

    return noted


def summing(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """`kernel` for sums whose terms may be added in any order."""
    compiled = numba.njit(**_OPTIONS, fastmath={"reassoc", "contract", "nsz"})(function)
    return cast("Callable[Parameters, Result]", compiled)


def lies_compiled(function: Callable[..., object]) -> bool:
    """Whether a kernel's machine code lies on the disk, not older than its source; True where nothing is compiled."""
    stats = getattr(function, "stats", None)
    if stats is None:
        return True
    source = Path(inspect.getfile(inspect.unwrap(function)))
    files = Path(stats.cache_path).glob(f"{source.stem}.{function.__name__}-*.nbc")
    return any(file.stat().st_mtime >= source.stat().st_mtime for file in files)
