"""Ctrl+C in the middle of a batch, by two workers and through the whole chain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from xrfree.cli import INTERRUPTED, OK
from xrfree.closure import whole_composition
from xrfree.composition import Composition
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.ledger.store import Ledger
from xrfree.ledger.verification import verify_ledger
from xrfree.quantification import prepare
from xrfree.readers import write_hdf5
from xrfree.simulation import expected_counts
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

METHOD = shipped_path("methods", "iron-ore-scanner-edxrf.toml")
INSTRUMENT = shipped_path("fitted", "example-edxrf.toml")
ORE = {"Fe": 0.40, "Ca": 0.06, "Mn": 0.01, "Ba": 0.02, "La": 0.012, "Ce": 0.02, "Pr": 0.002, "Nd": 0.007}
N = 1200
# Blocks are smaller than usual, so that there are several. A shell lets what it starts in the background, tests
# included, ignore Ctrl+C; the program under test must not inherit that.
PROGRAM = (
    "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from xrfree.batch import assaying\nassaying.BLOCK = 32\n"
    "from xrfree.cli import main\nsys.exit(main(sys.argv[1:]))"
)


def write_stack(path: Path) -> None:
    method = load_method(METHOD)
    assert method.specimen is not None
    prepared = prepare(method, load_instrument(INSTRUMENT))
    whole = whole_composition(ORE, method.specimen, method.unseen, prepared.elements)
    composition = Composition(elements=prepared.elements, mass_fraction=whole)
    expected = expected_counts(composition, method.specimen, prepared.instrument, "low", live_time_s=30.0)
    condition = prepared.instrument.conditions["low"]
    scale = EnergyScale(zero_kev=condition.energy_zero_kev, gain_kev=condition.energy_gain_kev)
    spectra = (
        Spectrum(
            counts=np.random.default_rng(seed).poisson(expected),
            live_time_s=30.0,
            real_time_s=33.0,
            energy_scale=scale,
            condition=ExcitationCondition(name="low"),
        )
        for seed in range(N)
    )
    write_hdf5(path, (Measurement(specimen=f"P{i}", spectra={"low": s}) for i, s in enumerate(spectra)))


def started(folder: Path) -> subprocess.Popen[str]:
    options = ["--method", METHOD, "--instrument", INSTRUMENT, "--out", folder / "out", "--jobs", "2"]
    options += ["--status", folder / "status.json"]
    command = [sys.executable, "-c", PROGRAM, "assay", folder / "core.h5", *options]
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def done_so_far(folder: Path) -> int:
    try:
        told = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return int(told["done"]) if told["stage"] == "assaying" else 0


def ends(group: int, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are those of POSIX")
def test_ctrl_c_ends_cleanly_and_the_next_run_goes_on(tmp_path):
    write_stack(tmp_path / "core.h5")
    process = started(tmp_path)
    deadline = time.monotonic() + 300.0  # kernels may have to be compiled
    while done_so_far(tmp_path) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60.0)
    assert process.returncode == INTERRUPTED, told
    assert "What was assayed is recorded" in told
    assert "Traceback" not in told
    assert ends(process.pid, within_s=20.0)  # no worker is left behind
    with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
        kept = ledger.subjects("result")
        assert 0 < len(kept) < N
        assert verify_ledger(ledger) == []
    process = started(tmp_path)
    shown, told = process.communicate(timeout=300.0)
    assert process.returncode == OK, told
    assert f"{N} specimens assayed ({len(kept)} of them before, found in the ledger)" in shown
    with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
        assert set(ledger.subjects("result").values()) == {1}
        assert verify_ledger(ledger) == []
