"""Damaged files of every reader: only our own errors come out, and what is read obeys the laws.

`benchmarks/readers_fuzz.py` does the same with tens of thousands of mutations, three engines, and limits of the system.
"""

import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from runpy import run_path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrfree.errors import XrfreeError
from xrfree.readers import read_intensities, read_measurements, read_results, read_scan
from xrfree.spectrum import Measurement
from xrfree.testing.mutations import mutated

FILES: dict[str, dict[str, bytes]] = run_path(str(Path(__file__).with_name("samples.py")))["files_of_readers"]()
VERBS: dict[str, tuple[Callable[[Path], object], ...]] = {
    "two_theta_scan": (read_scan,),
    **{name: (read_results, read_intensities) for name in FILES if name.startswith("table:")},
}


def assert_read_or_refused(reader: str, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for verb in VERBS.get(reader, (read_measurements,)):
        try:
            found = verb(path)
        except XrfreeError as error:
            found, message = None, str(error)
        else:
            message = path.name
        assert message.startswith(path.name)
        assert "\n" not in message
        assert_lawful(found)


def assert_lawful(found: object) -> None:
    measurements = found if isinstance(found, tuple) else ()
    for spectrum in (s for m in measurements if isinstance(m, Measurement) for s in m.spectra.values()):
        assert spectrum.counts.min() >= 0
        assert 0 < spectrum.live_time_s <= spectrum.real_time_s * 1.0011
        assert (spectrum.edges_kev[1:] > spectrum.edges_kev[:-1]).all()


@cache
def read_as_they_are(reader: str, folder: Path) -> None:
    """The samples are whole: of every reader one at least is read."""
    read = 0
    for file, content in FILES[reader].items():
        (folder / file).write_bytes(content)
        for verb in VERBS.get(reader, (read_measurements,)):
            try:
                read += bool(verb(folder / file))
            except XrfreeError:
                continue
    assert read or reader == "other_files"


@pytest.mark.parametrize("reader", sorted(FILES))
def test_only_our_errors_come_out(tmp_path: Path, reader: str) -> None:
    read_as_they_are(reader, tmp_path)
    for file, content in FILES[reader].items():
        for number in range(100):
            assert_read_or_refused(reader, tmp_path / file, mutated(content, random.Random(f"{file} {number}")))
    assert {path.name for path in tmp_path.iterdir()} == set(FILES[reader])


@pytest.mark.parametrize("reader", sorted(FILES))
def test_long_runs_of_a_byte_are_told_in_time(tmp_path: Path, reader: str) -> None:
    """Some patterns took the square of the length of a line, and a minute for one of 100 000 letters or digits."""
    for file, content in FILES[reader].items():
        starts = [0, *(place + 1 for place, byte in enumerate(content) if byte == ord("\n"))]
        for piece in (b"a", b"A", b"1", b" ", b"a ", b","):
            place = random.Random(f"{reader} {file} {piece!r}").choice(starts)
            for at in (place, min(place + 3, len(content)), len(content)):
                start = time.process_time()
                swollen = content[:at] + piece * (100_000 // len(piece)) + content[at:]
                assert_read_or_refused(reader, tmp_path / file, swollen)
                assert time.process_time() - start < 1.0


@pytest.mark.parametrize("reader", sorted(FILES))
def test_only_our_errors_come_out_of_what_hypothesis_thinks_of(tmp_path: Path, reader: str) -> None:
    suffix = Path(next(iter(FILES[reader]))).suffix

    @settings(max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(list(FILES[reader].values())), st.randoms(use_true_random=False))
    def check(content: bytes, chance: random.Random) -> None:
        assert_read_or_refused(reader, tmp_path / f"ore{suffix}", mutated(content, chance))

    check()
