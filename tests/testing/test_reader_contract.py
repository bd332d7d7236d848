"""The kit for readers of other packages: our own formats satisfy it, and each broken promise is named."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from xrfree.readers import FORMATS, SpectrumBytes, SpectrumFormat, read_measurement
from xrfree.spectrum import Measurement
from xrfree.testing import ContractError, reader_contract

HERE = Path(__file__).parents[1] / "readers"
samples = SimpleNamespace(**run_path(str(HERE / "conftest.py")))
layouts = SimpleNamespace(**run_path(str(HERE / "writers.py")))
COUNTS = samples.sample_counts()
OURS = {
    "ORTEC CHN": layouts.chn(COUNTS),
    "ESRF SPEC": layouts.spec(COUNTS),
    "Shimadzu EDX CSV": layouts.shimadzu(COUNTS),
}


@pytest.mark.parametrize("name", OURS)
def test_formats_of_ours_satisfy_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ore.dat"
    content = OURS[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    reader_contract(next(known for known in FORMATS if known.name == name), path)


def plug_in(**changes: object) -> SpectrumFormat:
    """A format of one line: OTHER, then counts."""

    def read(file: SpectrumBytes, _: object) -> Measurement:
        csv = file.path.parent / "as.csv"
        measurement = read_measurement(csv)
        return replace(measurement, sources=(file.source,))

    made = SpectrumFormat(name="other", suffixes=(".oth",), recognises=lambda head: head[:5] == b"OTHER", read=read)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    (tmp_path / "as.csv").write_text(samples.csv_text())
    path = tmp_path / "a.oth"
    path.write_bytes(b"OTHER 1 2 3\n")
    return path


def test_a_plug_in_that_keeps_all_promises(sample: Path) -> None:
    reader_contract(plug_in(), sample)


def no_sources(file: SpectrumBytes, _: object) -> Measurement:
    return read_measurement(file.path.parent / "as.csv")


def none_at_all(_: SpectrumBytes, __: object) -> Iterator[Measurement]:
    return iter(())


def wrong_error(file: SpectrumBytes, profile: object) -> Measurement:
    if file.content != b"OTHER 1 2 3\n":
        raise ValueError("oops")
    return plug_in().read(file, None)  # type: ignore[misc]


def writes(file: SpectrumBytes, profile: object) -> Measurement:
    (file.path.parent / "cache").write_bytes(b"")
    return plug_in().read(file, None)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recognises": lambda head: False}, "of the start of its own file, expected True"),
        ({"recognises": lambda head: True}, "which belongs to another format"),
        ({"read": no_sources}, "path and SHA-256 are not among its sources"),
        ({"read_many": none_at_all}, "the sample holds no measurement"),
        ({"read": wrong_error}, "a damaged file raises ValueError: oops"),
        ({"read": writes}, r"reading changes the folder of the file: \['cache'\]"),
    ],
)
def test_each_broken_promise_is_named(sample: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        reader_contract(plug_in(**changes), sample)
