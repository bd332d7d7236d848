"""Thousands of mangled files per reader: only our own errors come out, and what is read obeys the laws."""

import re
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfree.errors import XrfreeError
from xrfree.readers import read_measurement
from xrfree.spectrum import Spectrum

TOOL = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "tools" / "fuzz_readers.py")))
VARIANTS = 5
TOKENS = (
    b"nan", b"inf", b"-1", b"1e400", b"1e308", b"-1e308", b"1e-320", b"0x10", b"1_000", b"", b"0", b"65535",
    b"4294967295", b"9" * 400, b"\xc3\xa9", b"\xe9", b"\0", b",", b";", b"\t", b'"', b"$DATA:\n",
    b"<<END>>\n", b"#SPECTRUM\n", b"#ENDOFDATA\n",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r", b" ", b"#", b":", b"=", b".",
    b"e", b"1,5", b"\x1a", b"%", b"\xc2\x85", b"\xe2\x80\xa8", b"\xd9\xa1", b"\xc2\xb2",
)  # fmt: skip


def flip(content: bytes, place: int, token: bytes) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 + len(token) % 255)]) + content[place + 1 :]


def insert(content: bytes, place: int, token: bytes) -> bytes:
    return content[:place] + token + content[place:]


def delete(content: bytes, place: int, token: bytes) -> bytes:
    return content[:place] + content[place + 1 + 3 * len(token) :]


def truncate(content: bytes, place: int, token: bytes) -> bytes:
    return content[:place]


def swap_lines(content: bytes, place: int, token: bytes) -> bytes:
    lines = content.split(b"\n")
    one, other = place % len(lines), (place // 7 + len(token)) % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def repeat_line(content: bytes, place: int, token: bytes) -> bytes:
    lines = content.split(b"\n")
    lines.insert((place // 7) % len(lines), lines[place % len(lines)])
    return b"\n".join(lines)


def replace_field(content: bytes, place: int, token: bytes) -> bytes:
    field = re.compile(rb"[^\s,;:]+").search(content, place)
    return content[: field.start()] + token + content[field.end() :] if field else content + token


EDITS = st.tuples(
    st.sampled_from([flip, insert, delete, truncate, swap_lines, repeat_line, replace_field, replace_field]),
    st.integers(0, 2**20),
    st.sampled_from(TOKENS),
)
Edit = tuple[Callable[[bytes, int, bytes], bytes], int, bytes]


def mangled(content: bytes, edits: list[Edit], variant: int) -> bytes:
    for change, place, token in edits:
        if content:
            content = change(content, (place * 31 + variant * 104729) % len(content), token)
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mangled")


@pytest.mark.parametrize("name", ["delimited", "emsa", "epsilon_mp2", "ortec_spe", "amptek_mca", "nexus_hdf5"])
def test_only_our_errors_come_out(folder: Path, samples: dict[str, tuple[str, bytes]], name: str) -> None:
    file, content = samples[name]
    path = folder / file

    @settings(max_examples=80, derandomize=True, deadline=None, database=None)
    @given(st.lists(EDITS, min_size=1, max_size=3))
    def check(edits: list[Edit]) -> None:
        for variant in range(VARIANTS):
            path.write_bytes(mangled(content, edits, variant))
            assert_read_or_refused(path)

    check()


@pytest.mark.parametrize("name", sorted(TOOL.built_samples()))
def test_a_seed_of_the_mutation_tool(tmp_path: Path, name: str) -> None:
    """300 of the mutations of `tools/fuzz_readers.py`, which runs 20 000 of each."""
    file, content = TOOL.built_samples()[name]
    outcomes, longest_s = TOOL.fuzz(name, file, content, 300, tmp_path)
    assert set(outcomes) <= {"read", "refused"}
    assert longest_s < 1.0
    assert [path.name for path in tmp_path.iterdir()] == [file]


def assert_read_or_refused(path: Path) -> None:
    message, spectra = "", list[Spectrum]()
    try:
        spectra = list(read_measurement(path).spectra.values())
    except XrfreeError as error:
        message = str(error)
    assert spectra or message.startswith(path.name)
    assert "\n" not in message
    for spectrum in spectra:
        assert spectrum.counts.min() >= 0
        assert 0 < spectrum.live_time_s <= spectrum.real_time_s * 1.0011
        edges = spectrum.edges_kev
        assert (edges[1:] > edges[:-1]).all()
