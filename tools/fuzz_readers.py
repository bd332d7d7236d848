"""Mutate sample files of every format, read them, and report whatever is not one of our own errors.

    python tools/fuzz_readers.py [--mutations 20000] [--only NAME ...] [--samples FOLDER]

Each mutation is a few edits of bytes or of lines. A reading counts as a fault when another exception than ours comes
out, when it takes more than a second of processor time, or when the process has grown beyond 200 MB above its start.
With --samples, files of a folder (real ones, say) are mutated beside the ones built from the published layouts.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import h5py
import numpy as np

from xrfree.errors import XrfreeError
from xrfree.readers import read_intensities, read_measurements, read_results, read_scan

TESTS = Path(__file__).parents[1] / "tests" / "readers"
LONGEST_S = 1.0
LARGEST_MB = 200.0
LARGEST_SAMPLE = 300_000
TOKENS = (
    b"nan", b"inf", b"-1", b"1e400", b"1e308", b"-1e308", b"0x10", b"1_000", b"", b"0", b"65535", b"4294967295",
    b"9" * 400, b"\xc3\xa9", b"\xe9", b"\0", b",", b";", b"\t", b'"', b"\n", b"\r", b" ", b"#", b":", b"=", b".", b"e",
    b"1,5", b"\x1a", b"%", b"<LOD", b"\xff\xfe", b"\xef\xbb\xbf", b"&a;", b"<!DOCTYPE a>", b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f",
)  # fmt: skip


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A few random edits of a file."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if not content:
            break
        content = chance.choice(EDITS)(content, chance)
    return content


def flip(content: bytes, chance: random.Random) -> bytes:
    """One bit changed."""
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]


def overwrite(content: bytes, chance: random.Random) -> bytes:
    """A token over the bytes that stand there."""
    place, token = chance.randrange(len(content)), chance.choice(TOKENS)
    return content[:place] + token + content[place + len(token) :]


def insert(content: bytes, chance: random.Random) -> bytes:
    """A token between the bytes."""
    place = chance.randrange(len(content))
    return content[:place] + chance.choice(TOKENS) + content[place:]


def delete(content: bytes, chance: random.Random) -> bytes:
    """A few bytes taken out."""
    place = chance.randrange(len(content))
    return content[:place] + content[place + chance.choice((1, 2, 4, 100)) :]


def truncate(content: bytes, chance: random.Random) -> bytes:
    """The end cut off."""
    return content[: chance.randrange(len(content))]


def early(content: bytes, chance: random.Random) -> bytes:
    """A random byte among the first ones, where lengths and versions stand."""
    place = chance.randrange(min(len(content), 600))
    return content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :]


def swap_lines(content: bytes, chance: random.Random) -> bytes:
    """Two lines changed for one another."""
    lines = content.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def repeat_line(content: bytes, chance: random.Random) -> bytes:
    """A line once more, elsewhere."""
    lines = content.split(b"\n")
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    return b"\n".join(lines)


def replace_field(content: bytes, chance: random.Random) -> bytes:
    """A token in the place of a word or a number."""
    field = re.compile(rb"[^\s,;:<>]+").search(content, chance.randrange(len(content)))
    if field is None:
        return content
    return content[: field.start()] + chance.choice(TOKENS) + content[field.end() :]


EDITS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip, flip, overwrite, insert, delete, truncate, early, swap_lines, repeat_line, replace_field, replace_field,
)  # fmt: skip


def built_samples() -> dict[str, tuple[str, bytes]]:
    """Small files of all formats, made by the writers of the tests: name -> (file name, content)."""
    layouts = SimpleNamespace(**run_path(str(TESTS / "writers.py")))
    texts = SimpleNamespace(**run_path(str(TESTS / "conftest.py")))
    tables = SimpleNamespace(**run_path(str(TESTS / "test_tables.py")))
    counts = texts.sample_counts()
    phases = [layouts.pdz_spectrum(counts, phase=i, kv=10.0 * i) for i in (1, 2, 3)]
    made: dict[str, str | bytes] = {
        "delimited.csv": texts.csv_text(),
        "emsa.msa": texts.emsa_text(),
        "epsilon.mp2": texts.mp2_text(),
        "ortec.spe": texts.spe_text(),
        "amptek.mca": texts.mca_text(),
        "pdz25.pdz": layouts.pdz25(phases),
        "pdz24.pdz": layouts.pdz24(counts * 16),
        "ortec.chn": layouts.chn(counts),
        "spec.dat": layouts.spec(counts),
        "esprit.txt": layouts.esprit(counts),
        "handheld.csv": layouts.handheld_csv(counts),
        "shimadzu.csv": layouts.shimadzu(counts),
        "intensities.csv": tables.GENERIC,
        "scan.csv": "# counting_time_s: 2\ntwo_theta_deg,counts\n57,10\n57.5,400\n58,12\n",
        "s1.csv": "Sample ID,Units,Sigma,Nb,Nb Err,La,La Err,,\nore,ppm,3,52,3,<LOD,60,0.01,0.02\n",
        "nexus.h5": nexus(counts),
    }
    return {name: (name, content if isinstance(content, bytes) else content.encode()) for name, content in made.items()}


def nexus(counts: list[int]) -> bytes:
    """An NXdata file with an energy axis and a live time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        with h5py.File(path, "w") as opened:
            opened.attrs["default"] = "entry"
            entry = opened.create_group("entry")
            entry.attrs.update({"NX_class": "NXentry", "default": "xrf"})
            data = entry.create_group("xrf")
            data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": [".", "energy"]})
            data.create_dataset("counts", data=np.array([counts, counts]), compression="gzip", chunks=(1, len(counts)))
            data["energy"] = 0.05 + 0.2 * np.arange(len(counts))
            data["energy"].attrs["units"] = "keV"
            data["live_time"] = [10.0, 11.0]
            data["live_time"].attrs["units"] = "s"
        return path.read_bytes()


def folder_samples(folder: Path) -> dict[str, tuple[str, bytes]]:
    """One file of each kind of a folder of real files: the smallest in each of its folders."""
    found: dict[str, tuple[str, bytes]] = {}
    for path in sorted(folder.glob("*/*"), key=lambda path: path.stat().st_size):
        key = f"{path.parent.name}{path.suffix}"
        if path.is_file() and path.stat().st_size <= LARGEST_SAMPLE:
            found.setdefault(key, (path.name, path.read_bytes()))
    return found


def megabytes() -> float:
    """Most memory that the process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def fuzz(name: str, file: str, content: bytes, mutations: int, path: Path) -> tuple[Counter[str], float]:
    """Outcomes of all mutations of one sample, and the longest time of one."""
    chance = random.Random(name)
    outcomes: Counter[str] = Counter()
    longest = 0.0
    target = path / file
    verbs: tuple[Callable[[Path], object], ...] = (read_measurements, read_results, read_intensities, read_scan)
    first = next((verb for verb in verbs if reads(verb, target, content)), read_measurements)
    for _ in range(mutations):
        changed = mutated(content, chance)
        target.write_bytes(changed)
        start = time.process_time()
        try:
            first(target)
            outcomes["read"] += 1
        except XrfreeError as error:
            good = str(error).startswith(target.name) and "\n" not in str(error)
            outcomes["refused" if good else "REFUSED WITHOUT NAME"] += 1
        except Exception:
            outcomes["FAULT"] += 1
            (path.parent / f"fault-{name}-{outcomes['FAULT']}").write_bytes(changed)
            if outcomes["FAULT"] <= 3:
                traceback.print_exc()
        longest = max(longest, time.process_time() - start)
    return outcomes, longest


def reads(verb: Callable[[Path], object], target: Path, content: bytes) -> bool:
    """Whether a function reads the file as it is."""
    target.write_bytes(content)
    try:
        verb(target)
    except XrfreeError:
        return False
    return True


def main() -> int:
    """Mutate, read, report; 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--samples", type=Path)
    given = parser.parse_args()
    samples = built_samples()
    if given.samples is not None:
        samples |= folder_samples(given.samples)
    bad = 0
    start_mb = megabytes()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        for name, (file, content) in samples.items():
            if given.only and name not in given.only:
                continue
            outcomes, longest = fuzz(name, file, content, given.mutations, work)
            grown = megabytes() - start_mb
            wrong = outcomes["FAULT"] + outcomes["REFUSED WITHOUT NAME"]
            bad += bool(wrong) or longest > LONGEST_S or grown > LARGEST_MB
            told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
            print(f"{name:28} {told}; longest {1000 * longest:.0f} ms, grown by {grown:.0f} MB", flush=True)
            strays = sorted(path.name for path in work.iterdir() if path.name != file)
            if strays:
                print(f"{name:28} OTHER FILES TOUCHED: {strays}")
                bad += 1
            (work / file).unlink()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
