"""Whether the first run has something to compile, as it tells the user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numba
import pytest

from xrfree.kernels._kernel import lies_compiled
from xrfree.kernels.sherman import inward_sums

SOURCE = """
import numba

@numba.njit(cache=True)
def doubled(x):
    return 2.0 * x
"""


@pytest.fixture
def doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], float]:
    """A kernel in a module of its own."""
    (tmp_path / "small_kernel.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import small_kernel  # type: ignore[import-not-found]

    found: Callable[[float], float] = small_kernel.doubled
    return found


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_kernel_lies_compiled_after_its_first_call_and_until_its_source_changes(
    tmp_path: Path, doubled: Callable[[float], float]
) -> None:
    assert not lies_compiled(doubled)
    assert doubled(1.5) == 3.0
    assert lies_compiled(doubled)
    later = (tmp_path / "small_kernel.py").stat().st_mtime + 10.0
    os.utime(tmp_path / "small_kernel.py", (later, later))
    assert not lies_compiled(doubled)


def test_plain_function_needs_no_compilation() -> None:
    plain = getattr(inward_sums, "py_func", inward_sums)
    assert lies_compiled(plain)
