"""The short version of benchmarks/batch_robustness.py, which asserts its answers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="process groups and file size limits are those of POSIX")
def test_a_batch_that_is_killed_and_a_ledger_that_is_tampered_with(repository, tmp_path):
    script = repository / "benchmarks" / "batch_robustness.py"
    sizes = ["--kills", "4", "--spectra", "100", "--changes", "25", "--json", str(tmp_path / "found.json")]
    done = subprocess.run([sys.executable, str(script), *sizes], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "found.json").read_text())["figures"]
    assert figures["killed"] + figures["disk_full"] == 4
