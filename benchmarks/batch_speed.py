"""How many spectra a batch does: through the whole chain, and through the engine around it alone.

    python benchmarks/batch_speed.py [--spectra 100000] [--files 5000] [--jobs 2] [--json FILE]

The whole chain: reading, fit with Poisson likelihood and covariance, matrix correction with secondary excitation of
each specimen, uncertainty, limits and verdict, record in the ledger, assays.csv. The spectra are simulated, of a drill
core whose contents wander by a twentieth, 12 components by one condition (methods/iron-ore-scanner-edxrf.toml).

stack_per_s          spectra of an HDF5 stack (2 048 channels) per second
stack_cpu_ms         processor time of all processes per spectrum, in ms: this does not depend on other load
folder_per_s, folder_cpu_ms
                     the same for a folder of CSV files
peak_mb              largest memory of all processes together (proportional set size) in either of the two
dask_speedup         two workers of a local dask cluster against one, the same chain
machinery_stack_per_s, machinery_main_ms
                     the engine with a stand-in for fit and matrix; processor time of the main process, in ms
largest_difference   from the assays of single spectra, in standard uncertainties
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from _standin import StandIn, stand_in_task, write_stack

from xrfree.batch.assaying import BLOCK, Book, Tally, Task, record_batch, recorded_assays
from xrfree.batch.catalogue import catalogue
from xrfree.batch.cluster import Cluster
from xrfree.batch.identity import procedure_identity
from xrfree.batch.work import Chain, ChainTogether
from xrfree.batch.workers import Crew, Processes, ThisProcess
from xrfree.closure import whole_composition
from xrfree.composition import Composition
from xrfree.documents.assays import assay_of
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.kernels import first_run
from xrfree.ledger.store import Ledger
from xrfree.quantification import prepare
from xrfree.readers import read_stack, write_hdf5
from xrfree.report.tables import write_tables
from xrfree.simulation import expected_counts
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

LIVE_S = 30.0
MEAN = {
    "Fe": 0.40, "Ca": 0.06, "Ti": 0.004, "V": 0.001, "Cr": 0.0005, "Mn": 0.01,
    "Ba": 0.02, "La": 0.012, "Ce": 0.02, "Pr": 0.002, "Nd": 0.007, "Sm": 0.0007,
}  # fmt: skip
CHANNELS = 2048
_LOOK_S = 0.2
COMPONENTS = ("La", "Ce", "Pr", "Nd", "Sm", "Nb", "Fe", *(f"E{i}" for i in range(17)))


def _run(files: list[Path], task: Task, place: Path, crew: Crew) -> tuple[float, Tally]:
    start = time.perf_counter()
    with Ledger(place) as ledger:
        listed = catalogue(files)
        book = Book(ledger=ledger, actor="benchmark")
        tally = record_batch(listed.arrivals(), task, book, crew, refusals=listed.refusals)
    assert not tally.refusals, tally.refusals[:3]
    return time.perf_counter() - start, tally


class Watch(Thread):
    """Looks at memory and processor time of this process and all that it started, several times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb, self._busy_s, self._ended = 0.0, dict[int, float](), Event()
        self._own_s = 0.0

    def run(self) -> None:
        """Look until the end."""
        while not self._ended.wait(_LOOK_S):
            family = _family(os.getpid())
            self.peak_mb = max(self.peak_mb, sum(map(_proportional_mb, family)))
            for number in family:
                self._busy_s[number] = max(self._busy_s.get(number, 0.0), _busy_s(number))
            self._own_s = time.thread_time()

    @property
    def busy_s(self) -> float:
        """Processor time of all processes so far; of those that have ended, as it was last seen. Without looking."""
        self._busy_s[os.getpid()] = _busy_s(os.getpid())
        return sum(self._busy_s.values()) - self._own_s

    def end(self) -> float:
        """The largest sum of memory, MB."""
        self._ended.set()
        self.join()
        return self.peak_mb


def _family(number: int) -> list[int]:
    """A process and all that it started."""
    found = [number]
    for task in Path(f"/proc/{number}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                found += _family(int(child))
    return found


def _proportional_mb(number: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1]) / 1024.0
    return 0.0


def _busy_s(number: int) -> float:
    """Processor time of a process, s; 0 if it has ended."""
    with suppress(OSError):
        ticks = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def machinery(folder: Path, spectra: int, jobs: int) -> dict[str, float]:
    """The engine without physics."""
    task = stand_in_task(StandIn(components=COMPONENTS))
    write_stack(folder / "engine.h5", spectra, CHANNELS, distinct=500)
    busy = time.process_time()
    seconds, tally = _run([folder / "engine.h5"], task, folder / "engine.sqlite", _crew(jobs))
    busy = time.process_time() - busy
    assert len(tally.numbers) == spectra
    return {"machinery_stack_per_s": spectra / seconds, "machinery_main_ms": 1000.0 * busy / spectra}


def _crew(jobs: int) -> Crew:
    return Processes(jobs) if jobs > 1 else ThisProcess()


def _chain_task() -> Task:
    method = load_method(shipped_path("methods", "iron-ore-scanner-edxrf.toml"))
    instrument = load_instrument(shipped_path("fitted", "example-edxrf.toml"))
    prepared = prepare(method, instrument)
    return Task(
        quantification=Chain(prepared=prepared),
        together=ChainTogether(prepared=prepared),
        method=method,
        procedure=procedure_identity(method, instrument, None),
    )


def core(task: Task, n_spectra: int, *, places: int = 200) -> Iterator[Measurement]:
    """Spectra along a drill core, each with noise of its own."""
    assert isinstance(task.quantification, Chain)
    assert task.method.specimen is not None
    prepared, powder = task.quantification.prepared, task.method.specimen
    condition = prepared.instrument.conditions["low"]
    rng, deviation = np.random.default_rng(7), np.zeros(len(MEAN))
    for place in range(places):
        deviation = 0.9 * deviation + np.sqrt(1.0 - 0.9**2) * rng.standard_normal(deviation.size)
        contents = {e: w * float(np.exp(0.05 * d)) for (e, w), d in zip(MEAN.items(), deviation, strict=True)}
        whole = whole_composition(contents, powder, task.method.unseen, prepared.elements)
        expected = expected_counts(
            Composition(elements=prepared.elements, mass_fraction=whole),
            powder,
            prepared.instrument,
            "low",
            live_time_s=LIVE_S,
            n_channels=CHANNELS,
        )
        for number in range(place * n_spectra // places, (place + 1) * n_spectra // places):
            spectrum = Spectrum(
                counts=np.random.default_rng(number).poisson(expected),
                live_time_s=LIVE_S,
                real_time_s=1.1 * LIVE_S,
                energy_scale=EnergyScale(zero_kev=condition.energy_zero_kev, gain_kev=condition.energy_gain_kev),
                condition=ExcitationCondition(name="low"),
            )
            yield Measurement(specimen=f"P{number}", spectra={"low": spectrum})


def write_folder(folder: Path, measurements: Iterable[Measurement]) -> None:
    """CSV files as spectrometers export them."""
    folder.mkdir()
    for measurement in measurements:
        spectrum = measurement.spectra["low"]
        scale = spectrum.energy_scale
        head = (
            f"# specimen: {measurement.specimen}\n# condition: low\n# live_time_s: {spectrum.live_time_s}\n"
            f"# real_time_s: {spectrum.real_time_s}\n# energy_zero_kev: {scale.zero_kev}\n"
            f"# energy_gain_kev: {scale.gain_kev}\nchannel,counts\n"
        )
        rows = "\n".join(f"{i},{n}" for i, n in enumerate(spectrum.counts.tolist()))
        (folder / f"{measurement.specimen}.csv").write_text(f"{head}{rows}\n", encoding="utf-8")


def write_inputs(folder: Path, spectra: int, files: int) -> None:
    """A stack, a folder, and a small stack to begin with."""
    task = _chain_task()
    write_hdf5(folder / "core.h5", core(task, spectra))
    write_folder(folder / "csv", core(task, files))
    write_hdf5(folder / "warm.h5", core(task, 64, places=2))


def chain(folder: Path, spectra: int, files: int, jobs: int) -> dict[str, float]:
    """The whole chain, from files to ledger and table."""
    # In a process of its own: what the simulation needs is no part of a batch.
    writer = get_context("spawn").Process(target=write_inputs, args=(folder, spectra, files))
    writer.start()
    writer.join()
    assert writer.exitcode == 0, "the spectra could not be simulated"
    task = _chain_task()
    warm = replace(task, procedure="warm")
    _run([folder / "warm.h5"], warm, folder / "warm.sqlite", _crew(jobs))
    figures = {}
    watch = Watch()
    watch.start()
    for name, inputs, n in (
        ("stack", [folder / "core.h5"], spectra),
        ("folder", sorted((folder / "csv").iterdir()), files),
    ):
        busy, start = watch.busy_s, time.perf_counter()
        _, tally = _run(inputs, task, folder / f"{name}.sqlite", _crew(jobs))
        assert len(tally.numbers) == n
        with Ledger(folder / f"{name}.sqlite") as ledger:
            results = recorded_assays(ledger, sorted(tally.numbers.values()), with_areas=False)
            write_tables(folder, results, json_too=False)
        figures[f"{name}_per_s"] = n / (time.perf_counter() - start)
        figures[f"{name}_cpu_ms"] = 1000.0 * (watch.busy_s - busy) / n
    return {**figures, "peak_mb": watch.end(), "largest_difference": _largest_difference(task, folder)}


def _largest_difference(task: Task, folder: Path) -> float:
    """Of some assays in the ledger from those of the single path, in standard uncertainties."""
    assert task.method.specimen is not None
    largest = 0.0
    with Ledger(folder / "stack.sqlite") as ledger:
        for measurement in islice(read_stack(folder / "core.h5"), 0, 400, 40):
            record = next(ledger.records(kind="result", subject=measurement.specimen))
            one, found = task.quantification(measurement, task.method.specimen), assay_of(record.data)
            off = np.abs(found.mass_fraction - one.mass_fraction) / one.standard_uncertainty
            largest = max(largest, float(off.max()))
    assert largest < 0.1, f"blocks differ from single spectra by {largest} standard uncertainties"
    return largest


def dask(folder: Path, spectra: int) -> dict[str, float]:
    """One against two workers; and the same results as without a cluster."""
    task = _chain_task()
    write_hdf5(folder / "dask.h5", core(task, spectra))
    rates = []
    for jobs in (1, 2):
        seconds, _ = _run([folder / "dask.h5"], task, folder / f"dask{jobs}.sqlite", _Warm(jobs))
        rates.append((spectra - BLOCK) / (seconds - _Warm.starting_s))
    _run([folder / "dask.h5"], task, folder / "alone.sqlite", ThisProcess())
    contents = []
    for name in ("dask1", "dask2", "alone"):
        with Ledger(folder / f"{name}.sqlite") as ledger:
            contents.append({record.key: record.content for record in ledger.records(kind="result")})
    assert contents[0] == contents[1] == contents[2], "a cluster gives other results"
    return {"dask_speedup": rates[1] / rates[0], "dask_two_per_s": rates[1]}


class _Warm(Cluster):
    """A local cluster whose start and first block are timed apart: sites start theirs once."""

    starting_s = 0.0

    def __init__(self, jobs: int) -> None:
        super().__init__("local", jobs=jobs)

    def results(self, function, items):  # type: ignore[no-untyped-def]
        """As in `Cluster`; the time until the first block is there counts as start."""
        start = time.perf_counter()
        for i, pair in enumerate(super().results(function, items)):
            if i == 0:
                _Warm.starting_s = time.perf_counter() - start
            yield pair


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if first_run.is_needed():  # as every command does
        first_run.compile_all()
    folder = Path(tempfile.mkdtemp())
    try:
        figures = chain(folder, arguments.spectra, arguments.files, arguments.jobs)
        figures |= dask(folder, min(arguments.spectra, 16 * BLOCK))
        figures |= machinery(folder, min(arguments.spectra, 10_000), arguments.jobs)
    finally:
        shutil.rmtree(folder)
    for name, value in figures.items():
        print(f"{name:24} {value:10.4g}")
    if arguments.json:
        environment = {
            "python": platform.python_version(),
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
        arguments.json.write_text(json.dumps({"figures": figures, "environment": environment}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
