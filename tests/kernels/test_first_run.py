"""What a first run compiles: all that is called later, and into the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from xrfree.kernels import first_run

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

AFTER_ALL_CASES = """
import json
from xrfree.kernels import first_run
from xrfree.kernels._kernel import ENTRIES
from xrfree.selftest import run_cases
assert all(outcome.passed for outcome in run_cases())
first_run.is_needed()
found = {f"{f.__module__}.{f.__name__}": [[str(t) for t in types], [[str(t) for t in s] for s in f.signatures]]
         for entries in ENTRIES.values() for f, types in entries}
print(json.dumps(found))
"""
LIES_COMPILED = """
import json
from xrfree.kernels import influence
from xrfree.kernels._kernel import lies_compiled
print(json.dumps([lies_compiled(influence.solve_contents), lies_compiled(influence.matrix_factors)]))
"""


def process(*arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A process of its own, at its end."""
    environment = dict(os.environ) if cache is None else {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True)


def said_by(*arguments: str, cache: Path | None = None) -> str:
    """What a process of its own prints."""
    return process(*arguments, cache=cache).stdout


def test_every_kernel_is_called_with_the_types_that_a_first_run_compiles_it_for() -> None:
    found = json.loads(said_by("-c", AFTER_ALL_CASES).splitlines()[-1])
    assert {name.split(".")[2] for name in found} == {name for part in first_run.PARTS for name in part}
    called = {name: (types, signatures) for name, (types, signatures) in found.items() if signatures}
    assert {"xrfree.kernels.lineshape.add_lines", "xrfree.kernels.sherman.inward_sums"} <= set(called)
    assert {name: signatures for name, (_, signatures) in called.items()} == {
        name: [types] for name, (types, _) in called.items()
    }


def test_module_is_compiled_into_the_cache(tmp_path: Path) -> None:
    assert json.loads(said_by("-c", LIES_COMPILED, cache=tmp_path)) == [False, False]
    said_by("-m", first_run.__name__, "influence", cache=tmp_path)
    assert json.loads(said_by("-c", LIES_COMPILED, cache=tmp_path)) == [True, True]


def test_script_is_told_once_that_it_waits_for_a_compiler(tmp_path: Path) -> None:
    calls = "from xrfree.kernels.lineshape import dawson, gaussian; gaussian(0.0), dawson(1.0)"
    first, second = (process("-c", calls, cache=tmp_path).stderr for _ in range(2))
    assert first.count("First run: compiling") == 1
    assert second == ""


def test_no_module_of_kernels_is_forgotten() -> None:
    files = {path.stem for path in Path(first_run.__file__).parent.glob("[!_]*.py")}
    assert files - {"first_run"} == {name for part in first_run.PARTS for name in part}
