"""What damaged files do to the readers: three engines of mutations, and a table of what came of them.

    python benchmarks/readers_fuzz.py [--mutations 20000] [--engines bytes hypothesis atheris] [--only NAME ...]
                                      [--more FOLDER] [--keep FOLDER] [--json docs/evidence/readers_fuzz.json]

bytes: the damages of `xrfree.testing.mutations`. hypothesis: the same, chosen by hypothesis. atheris: coverage-guided
(libFuzzer, where atheris is installed), half of its mutations its own, half of them ours.
With --more, the files of a folder (real ones, say) are mutated beside the small ones of the tests; with --keep, what
caused a fault is put into a folder.

Every reader is worked on in a process of its own, whose memory the system limits to 200 MB above its start, and which
it ends when one file takes more than a second of processor time. It is a fault

- when an exception comes out that is not ours, or one of ours that is not one line beginning with the file's name,
- when what is read breaks a law (negative counts, live time longer than real time, energies that do not rise),
- when a file other than the mutated one and those of Python's library is opened, or anything is written, started, sent
  or unpickled (the interpreter's audit events tell),
- when the process is ended by the system: too long, too much memory, a crash.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "tests" / "readers" / "samples.py"
# Share of the mutations: hypothesis and atheris take several times as long to think of one as it takes to read it.
ENGINES = {"bytes": 1.0, "hypothesis": 0.25, "atheris": 0.25}
LONGEST_S = 1.0
LARGEST_MB = 200
# A process that waits instead of computing is given up after this.
PATIENCE_S = 60
# Ten lines of a terminal: more is no message any more.
LONGEST_MESSAGE = 1000
# Mutations of a file as long as this take most of the time without reaching more of a reader.
LARGEST_SAMPLE = 100_000
BATCH = 1000
# Writing a file again and again on a real disk takes five times as long as reading it.
MEMORY_DISK = Path("/dev/shm")
MB = 2**20
HARMLESS_EVENTS = ("object.", "compile", "exec", "import", "marshal.", "code.", "builtins.id", "sys._", "cpython.")
FORBIDDEN_EVENTS = (
    "os.", "shutil.", "tempfile.", "subprocess.", "socket.", "pickle.", "urllib.", "ftplib.", "http.", "webbrowser.",
    "ctypes.dlopen", "glob.", "pathlib.", "mmap.", "pty.", "signal.",
)  # fmt: skip


# --- the worker: one reader, one engine ----------------------------------------------------------------------


@dataclass
class Guard:
    """Opened files and other acts, told by the interpreter while `target` is being read."""

    target: str = ""
    acts: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hook of `sys.addaudithook`."""
        if self.target and not self._allowed(event, arguments):
            self.acts.append(f"{event} {arguments}"[:300])

    def _allowed(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            name, mode, flags = arguments
            if isinstance(name, int) or name == os.devnull:  # a descriptor that is open already; nothing at all
                return True
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            return not writes and not (isinstance(mode, str) and set(mode) & set("wax+")) and self._readable(name)
        if event in {"os.listdir", "os.scandir"}:  # how Python finds its modules
            return self._readable(arguments[0])
        return not event.startswith(FORBIDDEN_EVENTS) or _is_our_helper(event)

    def _readable(self, name: object) -> bool:
        path = os.path.abspath(os.fsdecode(name))  # type: ignore[arg-type]  # noqa: PTH100  no look at the disk
        return path == self.target or path.startswith((*PYTHON_FOLDERS, "/proc/self/"))


PYTHON_FOLDERS = tuple({os.path.realpath(name) for name in (sys.prefix, sys.base_prefix, ROOT / "src")} | {sys.prefix})


def _is_our_helper(event: str) -> bool:
    """The process for a library is started, and ended where it does not answer, by its own module alone."""
    frame = sys._getframe(1) if event in {"subprocess.Popen", "os.posix_spawn", "os.kill"} else None
    while frame is not None and not frame.f_code.co_filename.endswith("_library_helper.py"):
        frame = frame.f_back
    return frame is not None


@dataclass
class Tally:
    """What came of the mutations so far, in a file that outlives this process."""

    path: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    told: list[str] = field(default_factory=list)

    def save(self) -> None:
        """Write it down."""
        said = {"outcomes": self.outcomes, "slowest_s": self.slowest_s, "peak_mb": self.peak_mb, "told": self.told[:20]}
        other = self.path.with_suffix(".new")
        other.write_text(json.dumps(said), encoding="utf-8")
        other.replace(self.path)


class Trial:
    """Reads one mutation after the other."""

    def __init__(self, reader: str, target: Path, tally: Tally, keep: Path | None) -> None:
        from xrfree import readers
        from xrfree.errors import XrfreeError
        from xrfree.readers.profile import ReaderProfile

        self.errors = XrfreeError
        self.verbs: Sequence[Callable[[Path], object]] = (readers.read_measurements,)
        if reader.startswith("table:"):
            self.verbs = (readers.read_results, readers.read_intensities)
        if reader == "two_theta_scan":
            self.verbs = (readers.read_scan,)
        if reader == "bruker_bcf":  # the format keeps no live time
            live = ReaderProfile.model_validate({"schema": "xrfree/profile/1", "live_time_s": 1.0})
            self.verbs = (partial(readers.read_measurements, profile=live),)
        self.reader, self.target, self.tally, self.keep = reader, target, tally, keep
        self.guard = Guard()
        sys.addaudithook(self.guard)

    def warm_up(self, contents: Iterable[bytes]) -> None:
        """Read what is whole, so that all modules are loaded; then limit the memory and begin to measure."""
        for content in contents:
            self.target.write_bytes(content)
            for verb in self.verbs:
                try:
                    verb(self.target)
                except self.errors:
                    continue
        self.base_mb = {pid: status(pid, "VmRSS") for pid in processes()}
        for pid in processes():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        limit_memory()

    def __call__(self, content: bytes) -> None:
        """One mutation: write it, read it, note what came of it."""
        self.target.write_bytes(content)
        self.tally.outcomes["mutations"] += 1
        if self.tally.outcomes["mutations"] % 50 == 0:
            self.note_peak()
            self.tally.save()
        start = time.process_time() + helper_seconds()
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
        for verb in self.verbs:
            outcome, fault = self.outcome(verb)
            self.tally.outcomes[outcome] += 1
            if fault:
                self.note_fault(fault, content)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        self.tally.slowest_s = max(self.tally.slowest_s, time.process_time() + helper_seconds() - start)

    def outcome(self, verb: Callable[[Path], object]) -> tuple[str, str]:
        """Read or refused, and what is wrong with that."""
        self.guard.acts.clear()
        self.guard.target = str(self.target)
        try:
            found = verb(self.target)
        except self.errors as error:
            message = str(error)
            in_form = message.startswith(self.target.name) and "\n" not in message and len(message) <= LONGEST_MESSAGE
            result = ("refused", "" if in_form else f"a message out of form: {message!r}")
        except BaseException as error:  # whatever comes out is what is looked for
            self.guard.target = ""  # to tell where it came from, Python reads its source
            if isinstance(error, KeyboardInterrupt):
                raise
            result = ("refused", "".join(traceback.format_exception(error)[-3:]))
        else:
            result = ("read", broken_law(found))
        finally:
            self.guard.target = ""
        if self.guard.acts:
            result = (result[0], f"acts: {'; '.join(self.guard.acts)}")
        return result

    def note_fault(self, fault: str, content: bytes) -> None:
        """Count it, tell it, keep what caused it."""
        self.tally.outcomes["faults"] += 1
        self.tally.told.append(fault)
        if self.keep is not None:
            number = self.tally.outcomes["faults"]
            (self.keep / f"{self.reader.replace(': ', '-')}-{os.getpid()}-{number}{self.target.suffix}").write_bytes(
                content
            )
        self.tally.save()

    def note_peak(self) -> None:
        """Most memory since the start, of this process and of its helper."""
        for pid in processes():
            grown = status(pid, "VmHWM") - self.base_mb.get(pid, 0.0)
            self.tally.peak_mb = max(self.tally.peak_mb, grown if pid in self.base_mb else 0.0)


def broken_law(found: object) -> str:
    """Which law the measurements break that were read; empty for none, and for tables, which check themselves."""
    from xrfree.spectrum import Measurement

    for measurement in found if isinstance(found, tuple) else ():
        for spectrum in measurement.spectra.values() if isinstance(measurement, Measurement) else ():
            if spectrum.counts.min() < 0 or spectrum.counts.dtype.kind != "i":
                return "counts are negative, or no whole numbers"
            if not 0 < spectrum.live_time_s <= spectrum.real_time_s * 1.0011:
                return f"live time {spectrum.live_time_s} s in a real time of {spectrum.real_time_s} s"
            edges = spectrum.edges_kev
            if not (edges[1:] > edges[:-1]).all():
                return "the energies do not rise"
    return ""


def limit_memory() -> None:
    """Have the system refuse this process more than it has now and LARGEST_MB."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int((status(os.getpid(), "VmSize") + LARGEST_MB) * MB), hard))


def processes() -> list[int]:
    """The worker itself, and its helpers for libraries where it has any."""
    return [os.getpid(), *_helpers()]


def _helpers() -> list[int]:
    module = sys.modules.get("xrfree.readers._library_helper")
    helpers = () if module is None else module.HELPERS.values()
    running = (helper._process for helper in helpers if helper._process is not None)
    return [int(process.pid) for process in running if process.poll() is None]


def helper_seconds() -> float:
    """Processor time of the helpers so far."""
    fields = (Path(f"/proc/{helper}/stat").read_text(encoding="utf-8").rpartition(")")[2] for helper in _helpers())
    times = (text.split()[11:13] for text in fields)
    return sum(int(user) + int(system) for user, system in times) / os.sysconf("SC_CLK_TCK")


def status(pid: int, key: str) -> float:
    """A size out of the system's status of a process, MB; 0 where the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024.0 for line in lines if line.startswith(f"{key}:")), 0.0)


def with_bytes(trial: Trial, contents: Sequence[bytes], mutations: int, seed: int) -> None:
    """Our own damages; every mutation has its own seed."""
    from xrfree.testing.mutations import mutated

    for number in range(mutations):
        chance = random.Random(f"{trial.reader} {seed} {number}")
        trial(mutated(contents[number % len(contents)], chance))


def with_hypothesis(trial: Trial, contents: Sequence[bytes], mutations: int, seed: int) -> None:
    """The same damages, chosen by hypothesis; in batches, because it remembers what it has tried."""
    import hypothesis
    from hypothesis import strategies as st

    from xrfree.testing.mutations import mutated

    done = 0
    while done < mutations:
        goal = min(BATCH, mutations - done)

        @hypothesis.seed(seed * 1_000_003 + done)
        @hypothesis.settings(
            max_examples=goal,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(st.sampled_from(list(contents)), st.randoms(use_true_random=False))
        def one_batch(content: bytes, chance: random.Random) -> None:
            trial(mutated(content, chance))

        before = trial.tally.outcomes["mutations"]
        one_batch()
        done += max(1, trial.tally.outcomes["mutations"] - before)


def with_atheris(trial: Trial, contents: Sequence[bytes], mutations: int, seed: int) -> None:
    """Coverage-guided; libFuzzer ends this process when it is done, so the tally is written with the last one."""
    import atheris

    from xrfree.testing.mutations import mutated

    corpus = trial.target.parent / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(contents):
        (corpus / str(number)).write_bytes(content)

    def one_input(content: bytes) -> None:
        if not content:  # libFuzzer's own first input
            return
        trial(content)
        if trial.tally.outcomes["mutations"] >= mutations:
            trial.note_peak()
            trial.tally.save()
            os._exit(0)

    def mutate(content: bytes, most: int, number: int) -> bytes:
        if number % 2:
            return bytes(atheris.Mutate(content, most))
        return mutated(content or contents[0], random.Random(number))[:most]

    longest = 4 * max(map(len, contents))
    options = [
        f"-seed={seed + 1}",
        f"-max_len={longest}",
        "-len_control=0",
        "-rss_limit_mb=0",
        "-timeout=600",
        "-handle_segv=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_input, custom_mutator=mutate)
    limit_memory()  # once more: libFuzzer's own memory is not the readers'
    atheris.Fuzz()


def work(reader: str, engine: str, mutations: int, seed: int, folder: Path, keep: Path | None) -> int:
    """The worker's part: read what the samples' mutations hold."""
    if engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["xrfree.readers"]):
            import xrfree.readers  # noqa: F401
    files = {path.name: path.read_bytes() for path in sorted((folder / "samples").iterdir())}
    target = folder / "work" / f"ore{Path(next(iter(files))).suffix}"
    tally = Tally(folder / "tally.json")
    trial = Trial(reader, target, tally, keep)
    trial.warm_up(files.values())
    {"bytes": with_bytes, "hypothesis": with_hypothesis, "atheris": with_atheris}[engine](
        trial, list(files.values()), mutations, seed
    )
    trial.note_peak()
    tally.save()
    return 0


# --- the driver ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one reader under one engine."""

    reader: str
    engine: str
    mutations: int
    read: int
    refused: int
    faults: int
    slowest_s: float
    peak_mb: float
    told: tuple[str, ...]


def fuzz(reader: str, files: dict[str, bytes], engine: str, mutations: int, keep: Path | None = None) -> Result:
    """Have workers read mutations of a reader's files; one that the system has ended is a fault, and is replaced."""
    outcomes: Counter[str] = Counter()
    slowest, peak, told = 0.0, 0.0, list[str]()
    seed = 0
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as name:
        folder = Path(name)
        (folder / "samples").mkdir()
        for file, content in files.items():
            (folder / "samples" / file).write_bytes(content)
        while outcomes["mutations"] < mutations:
            (folder / "work").mkdir()
            (folder / "tally.json").unlink(missing_ok=True)
            end = _worker(reader, engine, mutations - outcomes["mutations"], seed, folder, keep)
            said = _said(folder / "tally.json")
            outcomes += Counter(said["outcomes"])
            slowest, peak = max(slowest, said["slowest_s"]), max(peak, said["peak_mb"])
            told += said["told"]
            strays = [path.name for path in (folder / "work").iterdir() if path.stem not in {"ore", "corpus"}]
            if end or strays:
                outcomes += Counter(faults=1, mutations=1)
                told.append(end or f"other files were written: {strays}")
                slowest = max(slowest, LONGEST_S if end else 0.0)
                _keep(keep, reader, seed, folder / "work")
            shutil.rmtree(folder / "work")
            seed += 1
    return Result(
        reader=reader,
        engine=engine,
        mutations=outcomes["mutations"],
        read=outcomes["read"],
        refused=outcomes["refused"],
        faults=outcomes["faults"],
        slowest_s=round(slowest, 3),
        peak_mb=round(peak, 1),
        told=tuple(told),
    )


def _worker(reader: str, engine: str, mutations: int, seed: int, folder: Path, keep: Path | None) -> str:
    """Run one worker; how it was ended, empty where it came to its end."""
    given = ["--worker", reader, engine, str(mutations), str(seed), str(folder), "" if keep is None else str(keep)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), *given],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
    seen, since = 0, time.monotonic()
    while True:
        try:
            _, errors = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            now = _said(folder / "tally.json")["outcomes"].get("mutations", 0)
            if now > seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE_S:
                process.kill()
                process.communicate()
                return f"no file in {PATIENCE_S} s"
        else:
            break
    if process.returncode == 0:
        return ""
    last = errors.decode(errors="replace").strip().splitlines()[-12:]
    return f"the worker ended with {process.returncode}: {' | '.join(last)}"


def _said(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"outcomes": {}, "slowest_s": 0.0, "peak_mb": 0.0, "told": []}
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return said


def _keep(keep: Path | None, reader: str, seed: int, work_folder: Path) -> None:
    for path in work_folder.glob("ore*") if keep is not None else ():
        shutil.copy(path, f"{keep}/{reader.replace(': ', '-')}-ended-{seed}{path.suffix}")


def further_files(folder: Path) -> dict[str, dict[str, bytes]]:
    """Files of a folder by the reader that knows them; large ones, and those that no reader knows, are left out."""
    from xrfree import readers
    from xrfree.errors import XrfreeError

    modules = {
        known.name: sys.modules[known.recognises.__module__].__name__.rsplit(".", 1)[-1] for known in readers.FORMATS
    }
    tables = {
        "Olympus Vanta results": "Vanta", "Niton results": "Niton", "PANalytical Epsilon report": "Epsilon",
        "Bruker S1 results": "S1", "Rigaku ZSX": "ZSX", "Bruker SPECTRAplus": "SPECTRAplus",
        "intensity table": "intensities",
    }  # fmt: skip
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and 0 < path.stat().st_size <= LARGEST_SAMPLE:
            try:
                name = readers.format_name(path)
            except XrfreeError:
                continue
            reader = (
                modules[name] if name in modules else f"table: {tables[name]}" if name in tables else "two_theta_scan"
            )
            found.setdefault(reader, {})[f"{path.parent.name}-{path.name}"] = path.read_bytes()
    return found


def written(results: Sequence[Result]) -> dict[str, Any]:
    """The results as a file of evidence: figures of all, and a row for each."""
    readers = {result.reader for result in results}
    of_a_reader = [sum(result.mutations for result in results if result.reader == reader) for reader in readers]
    rows = [asdict(result) for result in results]
    columns = [name for name in rows[0] if name != "told"]
    return {
        "figures": {
            "readers": len(readers),
            "mutations": sum(of_a_reader),
            "fewest_mutations_of_a_reader": min(of_a_reader),
            "faults": sum(result.faults for result in results),
            "slowest_s": max(result.slowest_s for result in results),
            "largest_mb": max(result.peak_mb for result in results),
        },
        "table": {"columns": columns, "rows": [[row[name] for name in columns] for row in rows]},
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            **{name: version(name) for name in ("h5py", "hypothesis", "atheris") if find_spec(name) is not None},
        },
    }


def earlier(path: Path | None) -> dict[tuple[str, str], Result]:
    """Results that a file of evidence holds, by reader and engine: a run with --only replaces its own."""
    if path is None or not path.exists():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))["table"]
    found = [Result(**dict(zip(table["columns"], row, strict=True)), told=()) for row in table["rows"]]
    return {(result.reader, result.engine): result for result in found}


def main() -> int:
    """Mutate, read, report; 1 where something was wrong."""
    if sys.argv[1:2] == ["--worker"]:
        reader, engine, mutations, seed, folder, keep = sys.argv[2:]
        return work(reader, engine, int(mutations), int(seed), Path(folder), Path(keep) if keep else None)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--more", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    samples: dict[str, dict[str, bytes]] = run_path(str(SAMPLES))["files_of_readers"]()
    for reader, files in (further_files(given.more) if given.more is not None else {}).items():
        samples[reader] = samples.get(reader, {}) | files
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    results = earlier(given.json)
    faults = 0
    wanted = [reader for reader in samples if not given.only or reader in given.only]
    for engine in (name for name in given.engines if name != "atheris" or find_spec(name) is not None):
        for reader in wanted:
            result = fuzz(reader, samples[reader], engine, round(ENGINES[engine] * given.mutations), given.keep)
            results[reader, engine] = result
            faults += result.faults
            print(
                f"{reader:20} {engine:10} {result.mutations:6} mutations: {result.read} read, {result.refused} refused"
                f", {result.faults} faults; slowest {1000 * result.slowest_s:.0f} ms, {result.peak_mb:.0f} MB",
                flush=True,
            )
            for told in sorted(result.told, key=lambda told: "the worker ended" not in told)[:3]:
                print("    " + told.rstrip().replace("\n", "\n    "), flush=True)
            if given.json is not None:
                ordered = [results[key] for key in sorted(results)]
                given.json.write_text(json.dumps(written(ordered), indent=1) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
