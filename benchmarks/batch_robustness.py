"""A batch that is killed again and again, and a ledger that is tampered with.

    python benchmarks/batch_robustness.py [--kills 200] [--spectra 2000] [--changes 1000] [--json FILE]

Kills: a batch runs in a process group of its own, with one or two workers, and gets SIGKILL at a random moment, in
every tenth run instead a disk that is full (a limit on the size of its files). The same batch is started again until
the kills are spent, and is then left to its end: every spectrum must have exactly one result, equal to that of an
undisturbed run, and the chain must be whole. The quantification is a stand-in of a few milliseconds, whose results
depend on the block of spectra they are assayed with: what is tested is the engine around it. done_by_then : results
that the ended runs have left for the last one to find.

Changes: single changes by somebody who knows SQL and has removed the triggers, and flipped bits of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _standin import StandIn, stand_in_task, write_stack

from xrfree.batch import assaying
from xrfree.batch.assaying import Book, record_batch
from xrfree.batch.catalogue import catalogue
from xrfree.batch.workers import Crew, Processes, ThisProcess
from xrfree.errors import LedgerError
from xrfree.ledger.store import Ledger
from xrfree.ledger.verification import verify_ledger

CHILD_COMMIT_S = 0.02
CHILD_BLOCK = 16
"""Spectra that are assayed together, fewer than usual: kills come after some hundredths of a second."""
WORK_S = 0.004
STARTING = 0.1
"""Share of kills that hit a run while it starts, within the first second."""
FULL_DISK_EVERY = 10
CHANNELS = 128


def run_batch(folder: Path, place: Path, jobs: int) -> None:
    """The batch that is killed."""
    assaying.COMMIT_S, assaying.BLOCK = CHILD_COMMIT_S, CHILD_BLOCK
    crew: Crew = Processes(jobs) if jobs > 1 else ThisProcess()
    with Ledger(place) as ledger:
        listed = catalogue([folder / "stack.h5"])
        print("started", flush=True)
        task = stand_in_task(StandIn(seconds=WORK_S), together=True)
        record_batch(listed.arrivals(), task, Book(ledger=ledger, actor="benchmark"), crew, refusals=listed.refusals)


def child(folder: Path, place: Path, jobs: int, largest_file: int) -> int:
    """Entry of the process that is killed."""
    if largest_file:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        run_batch(folder, place, jobs)
    except LedgerError as error:
        print(error, flush=True)
        return 3
    return 0


def disturbed(folder: Path, place: Path, rng: random.Random, kills: int, usual_s: float) -> dict[str, float]:
    """Kill the batch so many times, after `usual_s` in the mean; numbers of what happened."""
    counts = {"killed": 0.0, "disk_full": 0.0, "finished": 0.0}
    while counts["killed"] + counts["disk_full"] < kills:
        number = int(sum(counts.values()))
        full = number % FULL_DISK_EVERY == FULL_DISK_EVERY - 1
        size = max((f.stat().st_size for f in place.parent.glob(place.name + "*")), default=0)
        limit = size + rng.randrange(4096, 60_000) if full else 0
        jobs = 2 if number % 4 == 3 else 1
        starting = rng.random() < STARTING
        wait_s = rng.uniform(0.0, 1.0) if starting else rng.expovariate(1 / (usual_s + 1.5 * (jobs - 1)))
        outcome = _one_run(folder, place, jobs, limit, wait_s, starting=starting)
        counts[outcome] += 1
        if outcome == "finished" and counts["finished"] > 2 * kills:
            raise SystemExit("the batch ends before it can be killed: use more spectra")
        if outcome == "finished":
            _forget(place)
    return counts


def _one_run(folder: Path, place: Path, jobs: int, limit: int, wait_s: float, *, starting: bool) -> str:
    command = [sys.executable, __file__, "--child", str(folder), str(place), str(jobs), str(limit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    if not starting:
        process.stdout.readline()
    try:
        process.wait(timeout=60.0 if limit else wait_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "killed"
    finally:
        process.stdout.close()
    return {0: "finished", 3: "disk_full"}[process.returncode]


def _forget(place: Path) -> None:
    """A batch that came to its end although it was to be killed starts anew."""
    for path in place.parent.glob(place.name + "*"):
        path.unlink()


def compared(place: Path, undisturbed: Path) -> dict[str, float]:
    """Results that are missing, doubled, or other than in the undisturbed run; findings in the chain."""
    with Ledger(place) as ledger, Ledger(undisturbed) as other:
        findings = verify_ledger(ledger)
        found: dict[str, list[str]] = {}
        for record in ledger.records(kind="result"):
            found.setdefault(record.subject, []).append(record.content)
        expected = {record.subject: record.content for record in other.records(kind="result")}
    return {
        "lost": float(len(set(expected) - set(found))),
        "duplicates": float(sum(len(contents) - 1 for contents in found.values())),
        "different": float(sum(contents[0] != expected.get(name) for name, contents in found.items())),
        "findings": float(len(findings)),
    }


def _n_results(place: Path) -> float:
    with Ledger(place) as ledger:
        return float(sum(ledger.subjects("result").values()))


def tampered(folder: Path, changes: int, rng: random.Random) -> dict[str, float]:
    """Make single changes, and count those that nobody finds."""
    place = folder / "tamper.sqlite"
    with Ledger(place) as ledger:
        listed = catalogue([folder / "small.h5"])
        task = stand_in_task(StandIn())
        record_batch(listed.arrivals(), task, Book(ledger=ledger, actor="benchmark"), ThisProcess())
    raw = sqlite3.connect(place)
    for name in ("records_no_update", "records_no_delete"):
        raw.execute(f"DROP TRIGGER {name}")
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = [row[0] for row in raw.execute("SELECT pageno FROM dbstat WHERE name = 'records'")]
    (page_bytes,) = raw.execute("PRAGMA page_size").fetchone()
    raw.close()
    good, content = _rows(place), place.read_bytes()
    missed, made = 0, 0
    copy = folder / "changed.sqlite"
    while made < changes:
        _forget(copy)
        if rng.random() < 0.5:
            damaged = bytearray(content)
            damaged[(rng.choice(pages) - 1) * page_bytes + rng.randrange(page_bytes)] ^= 1 << rng.randrange(8)
            copy.write_bytes(damaged)
        else:
            copy.write_bytes(content)
            _change_rows(copy, good, rng)
        if _rows(copy) == good:
            continue  # a byte of the page that belongs to no record
        made += 1
        missed += not _found(copy)
    return {"changes": float(made), "changes_missed": float(missed)}


def _rows(place: Path) -> list[tuple[object, ...]]:
    raw = sqlite3.connect(place)
    try:
        return raw.execute("SELECT * FROM records ORDER BY seq").fetchall()
    except sqlite3.DatabaseError:
        return []
    finally:
        raw.close()


def _change_rows(place: Path, rows: list[tuple[object, ...]], rng: random.Random) -> None:
    raw = sqlite3.connect(place)
    a, b = rng.sample(range(1, len(rows) + 1), 2)
    kind = rng.choice(("delete", "truncate", "swap", "insert", "value"))
    if kind == "delete":
        raw.execute("DELETE FROM records WHERE seq = ?", (a,))
    elif kind == "truncate":
        raw.execute("DELETE FROM records WHERE seq >= ?", (a,))
    elif kind == "swap":
        for old, new in ((a, -1), (b, a), (-1, b)):
            raw.execute("UPDATE records SET seq = ? WHERE seq = ?", (new, old))
    elif kind == "insert":
        row = [len(rows) + 1, *rows[a - 1][1:]]
        row[4] = ""
        raw.execute(f"INSERT INTO records VALUES ({','.join('?' * len(row))})", row)
    else:
        raw.execute("UPDATE records SET content = replace(content, '1', '2') WHERE seq = ?", (a,))
    raw.commit()
    raw.close()


def _found(place: Path) -> bool:
    try:
        with Ledger(place) as ledger:
            return bool(verify_ledger(ledger))
    except LedgerError:
        return True


def main() -> int:
    """Run, print, write."""
    if "--child" in sys.argv:
        at, place, jobs, limit = sys.argv[2:]
        return child(Path(at), Path(place), int(jobs), int(limit))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--spectra", type=int, default=2000)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rng = random.Random(20)
    folder = Path(tempfile.mkdtemp())
    try:
        write_stack(folder / "stack.h5", arguments.spectra, CHANNELS, distinct=arguments.spectra)
        write_stack(folder / "small.h5", 60, CHANNELS)
        start = time.perf_counter()
        run_batch(folder, folder / "undisturbed.sqlite", 1)
        figures = {"undisturbed_s": time.perf_counter() - start}
        usual_s = 1.5 * figures["undisturbed_s"] / arguments.kills
        figures |= disturbed(folder, folder / "killed.sqlite", rng, arguments.kills, usual_s)
        figures |= {"done_by_then": _n_results(folder / "killed.sqlite")}
        run_batch(folder, folder / "killed.sqlite", 1)
        figures |= compared(folder / "killed.sqlite", folder / "undisturbed.sqlite")
        figures |= tampered(folder, arguments.changes, rng)
    finally:
        shutil.rmtree(folder)
    for name, value in figures.items():
        print(f"{name:20} {value:10.4g}")
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.platform(), "cores": os.cpu_count()}
        arguments.json.write_text(json.dumps({"figures": figures, "environment": environment}, indent=1))
    bad = [name for name in ("lost", "duplicates", "different", "findings", "changes_missed") if figures[name]]
    assert not bad, f"not zero: {bad}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
