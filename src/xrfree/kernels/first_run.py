"""What a machine compiles that has never run xrfree, by two processes at once: a compiler uses one core.

    python -m xrfree.kernels.first_run block

compiles the kernels of one module. They are found in the cache afterwards, by whoever calls them.
"""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from collections.abc import Sequence

from xrfree.kernels._kernel import ENTRIES, lies_compiled

PARTS = (("block",), ("sherman", "lineshape", "influence"))
"""Modules with kernels, in two parts that take about the same time."""


def is_needed() -> bool:
    """Whether any kernel that is called from Python is missing in the cache."""
    modules = [_module(name) for part in PARTS for name in part]
    return not all(lies_compiled(function) for module in modules for function, _ in ENTRIES.get(module, ()))


def compile_all() -> None:
    """Compile every kernel into the cache. What cannot be compiled this way is compiled by the first who calls it."""
    started = [
        subprocess.Popen([sys.executable, "-m", __name__, *part], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for part in PARTS
    ]
    for process in started:
        process.wait()


def load_all() -> None:
    """Have the machine code of every kernel in this process, from the cache if it lies there."""
    for part in PARTS:
        _compile(part)


def _module(name: str) -> str:
    return importlib.import_module(f"xrfree.kernels.{name}").__name__


def _compile(names: Sequence[str]) -> None:
    for name in names:
        for function, types in ENTRIES.get(_module(name), ()):
            function.compile(types)


if __name__ == "__main__":
    gc.disable()  # a compiler makes millions of small objects, and hardly one that is garbage
    _compile(sys.argv[1:])
