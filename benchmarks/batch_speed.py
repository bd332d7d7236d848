"""How many spectra a batch does: through the whole chain, and through the engine around it alone.

    python benchmarks/batch_speed.py [--spectra 100000] [--files 5000] [--chain 8] [--jobs 2] [--json FILE]

stack_per_s          spectra of an HDF5 stack (2 048 channels) per second through the whole chain: reading, fit, matrix,
                     record in the ledger; measured with --chain specimens, the chain being much slower than the engine
folder_per_s         the same for a folder of CSV files
machinery_stack_per_s, machinery_folder_per_s
                     the same with a stand-in for fit and matrix that returns 24 components at once: reading, keys,
                     worker processes, chain of records, tables; what the chain could reach at most
machinery_main_ms    processor time of the main process per spectrum of the stack, in ms: independent of other load
tables_per_s         assays.csv from the ledger, specimens per second
peak_mb              largest memory of this process and of one worker together, stand-in, whole stack
dask_speedup         two workers of a local dask cluster against one; stand-in with 20 ms of computing per spectrum
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from _standin import StandIn, spectrum_of, stand_in_task, write_stack

from xrfree.assay import Assay
from xrfree.batch.assaying import Book, Chain, Tally, Task, record_batch, recorded_assays
from xrfree.batch.catalogue import catalogue, read_inputs
from xrfree.batch.cluster import Cluster
from xrfree.batch.identity import procedure_identity
from xrfree.batch.inputs import find_inputs
from xrfree.batch.workers import Crew, Processes, ThisProcess
from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.documents.specimens import load_specimens
from xrfree.ledger.store import Ledger
from xrfree.quantification import prepare
from xrfree.readers import write_hdf5
from xrfree.report.tables import write_tables
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement

CHANNELS = 2048
COMPONENTS = ("La", "Ce", "Pr", "Nd", "Sm", "Nb", "Fe", *(f"E{i}" for i in range(17)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Burning:
    """A stand-in that computes for a while, as a fit would."""

    seconds: float

    def __call__(self, measurement: Measurement, specimen: Specimen, /) -> Assay:
        """The stand-in's assay, after so much time of the processor."""
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            sum(range(1000))
        assay: Assay = StandIn()(measurement, specimen)
        return assay


def _run(files: list[Path], task: Task, place: Path, crew: Crew) -> tuple[float, Tally]:
    start = time.perf_counter()
    with Ledger(place) as ledger:
        listed = catalogue(files)
        book = Book(ledger=ledger, actor="benchmark")
        tally = record_batch(listed.arrivals(), task, book, crew, refusals=listed.refusals)
    assert not tally.refusals, tally.refusals[:3]
    return time.perf_counter() - start, tally


def machinery(folder: Path, spectra: int, files: int, jobs: int) -> dict[str, float]:
    """The engine without physics."""
    task = stand_in_task(StandIn(components=COMPONENTS))
    write_stack(folder / "stack.h5", spectra, CHANNELS, distinct=500)
    crew: Crew = Processes(jobs) if jobs > 1 else ThisProcess()
    busy = time.process_time()
    seconds, tally = _run([folder / "stack.h5"], task, folder / "stack.sqlite", crew)
    busy = time.process_time() - busy
    assert len(tally.numbers) == spectra
    figures = {"machinery_stack_per_s": spectra / seconds, "machinery_main_ms": 1000.0 * busy / spectra}
    start = time.perf_counter()
    with Ledger(folder / "stack.sqlite") as ledger:
        write_tables(folder, recorded_assays(ledger, sorted(tally.numbers.values())), json_too=False)
    figures["tables_per_s"] = spectra / (time.perf_counter() - start)
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures["peak_mb"] = sum(usage) / 1024.0
    write_folder(folder / "csv", files)
    paths = sorted((folder / "csv").iterdir())
    seconds, tally = _run(paths, task, folder / "folder.sqlite", crew)
    assert len(tally.numbers) == files
    return {**figures, "machinery_folder_per_s": files / seconds}


def write_folder(folder: Path, files: int) -> None:
    """CSV files as spectrometers export them."""
    folder.mkdir()
    head = "# condition: low\n# live_time_s: 10\n# real_time_s: 11\n# energy_zero_kev: 0\n# energy_gain_kev: 0.01\n"
    bodies = ["\n".join(f"{i},{n}" for i, n in enumerate(spectrum_of(k, CHANNELS).counts.tolist())) for k in range(50)]
    for i in range(files):
        text = f"# specimen: P{i}\n# file: {i}\n{head}channel,counts\n{bodies[i % 50]}\n"
        (folder / f"P{i}.csv").write_text(text, encoding="utf-8")


def chain(folder: Path, specimens: int, jobs: int) -> dict[str, float]:
    """The whole chain on the example spectra, each many times under other names."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    instrument = load_instrument(shipped_path("fitted", "example-edxrf.toml"))
    calibration = load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml"))
    demo = shipped_path("spectra", "demo")
    entries = load_specimens(demo / "specimens.csv")
    known = read_inputs(find_inputs([demo], exclude=[demo / "specimens.csv"])).measurements
    known = tuple(m for m in known if m.specimen.startswith("laterite"))
    named = [replace(known[i % len(known)], specimen=f"P{i}") for i in range(specimens)]
    write_hdf5(folder / "chain.h5", named)
    task = Task(
        quantification=Chain(prepared=prepare(method, instrument, calibration)),
        method=method,
        procedure=procedure_identity(method, instrument, calibration),
        specimens={f"P{i}": entries[known[i % len(known)].specimen] for i in range(specimens)},
    )
    crew: Crew = Processes(jobs) if jobs > 1 else ThisProcess()
    n_spectra = sum(len(m.spectra) for m in named)
    warm = Task(quantification=task.quantification, method=method, procedure="warm", specimens=task.specimens)
    _run([folder / "chain.h5"], warm, folder / "warm.sqlite", crew)
    seconds, _ = _run([folder / "chain.h5"], task, folder / "chain.sqlite", crew)
    return {"stack_per_s": n_spectra / seconds, "chain_specimens_per_s": specimens / seconds}


def dask(folder: Path, spectra: int) -> dict[str, float]:
    """One against two workers; and the same results as without a cluster."""
    write_stack(folder / "dask.h5", spectra, 128, distinct=spectra)
    task = stand_in_task(Burning(seconds=0.02))
    rates = []
    for jobs in (1, 2):
        seconds, _ = _run([folder / "dask.h5"], task, folder / f"dask{jobs}.sqlite", _Warm(jobs))
        rates.append(spectra / (seconds - _Warm.starting_s))
    _run([folder / "dask.h5"], task, folder / "alone.sqlite", ThisProcess())
    contents = []
    for name in ("dask1", "dask2", "alone"):
        with Ledger(folder / f"{name}.sqlite") as ledger:
            contents.append({record.key: record.content for record in ledger.records(kind="result")})
    assert contents[0] == contents[1] == contents[2], "a cluster gives other results"
    return {"dask_speedup": rates[1] / rates[0], "dask_two_per_s": rates[1]}


class _Warm(Cluster):
    """A local cluster whose start is timed apart: sites start theirs once."""

    starting_s = 0.0

    def __init__(self, jobs: int) -> None:
        super().__init__("local", jobs=jobs)

    def results(self, function, items):  # type: ignore[no-untyped-def]
        """As in `Cluster`; the time until the first result counts as start."""
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
    parser.add_argument("--chain", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        figures = machinery(folder, arguments.spectra, arguments.files, arguments.jobs)
        figures |= chain(folder, arguments.chain, arguments.jobs)
        # Reading a file is the only difference between a folder and a stack.
        extra_s = 1.0 / figures["machinery_folder_per_s"] - 1.0 / figures["machinery_stack_per_s"]
        figures["folder_per_s"] = 1.0 / (1.0 / figures["stack_per_s"] + max(extra_s, 0.0))
        figures |= dask(folder, 400)
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
