"""How fast spectra are read: CSV files on two cores, an HDF5 stack on one; numpy.loadtxt and PyMca in the same run.

    python benchmarks/readers_speed.py [--json FILE] [--files 10000] [--spectra 8000]

Every reader's answers are compared with the counts that were written. PyMca reads Amptek .mca files, which both know;
numpy.loadtxt reads the numbers of the CSV alone: no header, no checks, no digest of the file.

csv_files_per_s : whole CSV files of 2 048 channels, two processes.
hdf5_mb_per_s : counts delivered as int64 per second of one process, checksum of the file and all nouns included.
over_pymca : files per second of one process, ours over PyMca's, on the same .mca files.
over_loadtxt : files per second of one process, ours over numpy.loadtxt's, on the same CSV files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
from numpy.typing import NDArray

from xrfree.readers import read_measurement, read_stack, write_hdf5
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

CHANNELS = 2048
PEER_FILES = 400
CORES = 2
REPEATS = 5
CSV_HEADER = (
    "# specimen: ore {number}\n# condition: low\n# tube_anode: Rh\n# tube_kv: 15.0\n# filter: none\n"
    "# live_time_s: 100.000\n# real_time_s: 112.500\n# energy_zero_kev: -0.05\n# energy_gain_kev: 0.02\n"
    "# channels: 2048\nchannel,counts\n"
)
MCA = (
    "<<PMCA SPECTRUM>>\nTAG - live_data\nDESCRIPTION - ore {number}\nGAIN - 3\nLIVE_TIME - 100.000000\n"
    "REAL_TIME - 112.500000\nSTART_TIME - 06/07/2024 12:04:33\n<<CALIBRATION>>\nLABEL - Channel\n0 -0.05\n2000 39.95\n"
    "<<DATA>>\n{counts}<<END>>\n"
)


def spectra(n: int) -> NDArray[np.int64]:
    """Counts of `n` spectra: a peak on a falling continuum, Poisson-distributed, shape (n, CHANNELS)."""
    channel = np.arange(CHANNELS)
    expected = 20.0 + 2000.0 * np.exp(-0.5 * ((channel - 320) / 4.0) ** 2) + 300.0 * np.exp(-channel / 400.0)
    return np.random.default_rng(1).poisson(np.broadcast_to(expected, (n, CHANNELS)))


def measurement(number: int, counts: NDArray[np.int64]) -> Measurement:
    """One specimen with one spectrum, as a batch writes it into a stack."""
    condition = ExcitationCondition(name="low", anode="Rh", tube_voltage_kv=15.0, filter="none")
    spectrum = Spectrum(
        counts=counts,
        live_time_s=100.0,
        real_time_s=112.5,
        energy_scale=EnergyScale(zero_kev=-0.05, gain_kev=0.02),
        condition=condition,
        metadata={"reading": str(number), "operator": "me"},
    )
    return Measurement(specimen=f"ore {number}", spectra={"low": spectrum})


def write_files(folder: Path, counts: NDArray[np.int64], n: int) -> list[Path]:
    """CSV files; the spectra repeat, their names do not."""
    bodies = ["".join(f"{i},{count}\n" for i, count in enumerate(row)) for row in counts.tolist()]
    paths = []
    for number in range(n):
        paths.append(folder / f"{number:05d}.csv")
        paths[-1].write_text(CSV_HEADER.format(number=number) + bodies[number % len(bodies)])
    return paths


def total(path: Path) -> int:
    """Sum of the counts of a file."""
    (spectrum,) = read_measurement(path).spectra.values()
    return spectrum.total_counts


def best(*runs: Callable[[], object]) -> list[float]:
    """Shortest processor times of several runs, taken in turns: what disturbs one disturbs the others."""

    def once(run: Callable[[], object]) -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    rounds = [[once(run) for run in runs] for _ in range(REPEATS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def csv_on_two_cores(paths: list[Path], expected: int) -> float:
    """Files per second of two processes together."""
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(total, paths[:200], chunksize=50))  # warm-up
        start = time.perf_counter()
        found = sum(pool.map(total, paths, chunksize=100))
        taken = time.perf_counter() - start
    assert found == expected
    return len(paths) / taken


def hdf5_stack(path: Path, counts: NDArray[np.int64], n: int) -> float:
    """Megabytes of counts per second out of a stack of `n` spectra."""

    def made() -> Iterator[Measurement]:
        for number in range(n):
            yield measurement(number, counts[number % len(counts)])

    write_hdf5(path, made())
    for number, found in zip(range(len(counts)), read_stack(path), strict=False):
        np.testing.assert_array_equal(found.spectra["low"].counts, counts[number])
    (seconds,) = best(lambda: _exhaust(read_stack(path)))
    return n * CHANNELS * 8 / 1e6 / seconds


def _exhaust(measurements: Iterable[Measurement]) -> int:
    return sum(1 for _ in measurements)


def over_loadtxt(paths: list[Path]) -> float:
    """Ours over numpy.loadtxt, files per second."""

    def loadtxt() -> None:
        for path in paths:
            np.loadtxt(path, delimiter=",", skiprows=CSV_HEADER.count("\n"))

    their_s, our_s = best(loadtxt, lambda: [read_measurement(path) for path in paths])
    return their_s / our_s


def over_pymca(folder: Path, counts: NDArray[np.int64]) -> float | None:
    """Ours over PyMca on Amptek .mca files; None where PyMca is not installed."""
    try:
        from PyMca5.PyMcaIO import specfilewrapper
    except ImportError:
        return None
    paths = []
    for number in range(PEER_FILES):
        paths.append(folder / f"{number:05d}.mca")
        body = "".join(f"{count}\n" for count in counts[number % len(counts)].tolist())
        paths[-1].write_text(MCA.format(number=number, counts=body))

    def theirs(path: Path) -> NDArray[np.float64]:
        return np.asarray(specfilewrapper.Specfile(str(path))[0].mca(1))

    (ours,) = read_measurement(paths[0]).spectra.values()
    np.testing.assert_array_equal(theirs(paths[0]), ours.counts)
    their_s, our_s = best(lambda: [theirs(path) for path in paths], lambda: [read_measurement(path) for path in paths])
    return their_s / our_s


def main() -> int:
    """Measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--spectra", type=int, default=8_000)
    given = parser.parse_args()
    counts = spectra(64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_files(folder, counts, given.files)
        expected = int(sum(counts[i % len(counts)].sum() for i in range(given.files)))
        figures: dict[str, float | None] = {
            "csv_files_per_s": csv_on_two_cores(paths, expected),
            "hdf5_mb_per_s": hdf5_stack(folder / "stack.h5", counts, given.spectra),
            "over_pymca": over_pymca(folder, counts),
            "over_loadtxt": over_loadtxt(paths[:PEER_FILES]),
        }
    load = os.getloadavg()[0]
    for key, value in figures.items():
        print(f"{key:18} {'not installed' if value is None else f'{value:.4g}'}")
    print(f"load of the machine: {load:.1f} on {os.cpu_count()} cores")
    if given.json is not None:
        environment = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "load": load,
            "numpy": version("numpy"),
            "h5py": version("h5py"),
        }
        given.json.write_text(
            json.dumps(
                {"figures": {k: v for k, v in figures.items() if v is not None}, "environment": environment}, indent=2
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
