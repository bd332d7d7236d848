"""Errors: one root, one line with file, place, finding and remedy, and safe travel between processes."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

from xrfree import errors
from xrfree.errors import (
    CalibrationError,
    DocumentError,
    DomainError,
    FitError,
    InputFileError,
    NotConvergedError,
    SpectrumFileError,
    UncalibratedError,
    UnknownFormatError,
    XrfreeError,
)

FILE_ERRORS = (InputFileError, SpectrumFileError, UnknownFormatError, UncalibratedError, DocumentError)


def test_every_error_has_the_one_root() -> None:
    own = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(own) >= 10
    assert all(issubclass(kind, XrfreeError) for kind in own)


def test_file_error_is_short_whatever_the_file_holds() -> None:
    error = SpectrumFileError("a.txt", found="1" * 100_000, remedy="Export again")
    assert len(str(error)) < 700
    assert str(error).endswith("11. Export again.")


@pytest.mark.parametrize("mark", ["\n", "\r\n", "\x0b", "\x85", "\u2028"])
def test_file_error_is_one_line_whatever_the_file_holds(mark: str) -> None:
    error = SpectrumFileError("a.txt", place="line 2", found=f"ore 17{mark}ore 18: no line", remedy="Export again")
    assert str(error) == "a.txt line 2: ore 17 ore 18: no line. Export again."
    assert error.found == "ore 17 ore 18: no line"


@pytest.mark.parametrize("kind", FILE_ERRORS)
def test_file_error_is_one_sentence_each_for_finding_and_remedy(kind: type[InputFileError]) -> None:
    error = kind(
        "far/away/ore-17.msa",
        place="line 14",
        found="LIVETIME is 'abc', expected seconds > 0.",
        remedy="Re-export the spectrum.",
    )
    assert str(error) == "ore-17.msa line 14: LIVETIME is 'abc', expected seconds > 0. Re-export the spectrum."
    assert error.path == Path("far/away/ore-17.msa")


def test_file_as_a_whole_has_no_place() -> None:
    error = UnknownFormatError(Path("ore.pdz"), found="no known format", remedy="Known: EMSA")
    assert str(error) == "ore.pdz: no known format. Known: EMSA."


@pytest.mark.parametrize("kind", FILE_ERRORS)
def test_file_error_keeps_its_parts_between_processes(kind: type[InputFileError]) -> None:
    error = kind(Path("ore.msa"), place="line 3", found="nothing", remedy="try again")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert (back.path, back.place, back.found, back.remedy) == (
        Path("ore.msa"),
        "line 3",
        "nothing",
        "try again",
    )


@pytest.mark.parametrize("kind", [XrfreeError, DomainError, FitError, CalibrationError])
def test_plain_error_travels_between_processes(kind: type[XrfreeError]) -> None:
    back = pickle.loads(pickle.dumps(kind("what happened")))
    assert type(back) is kind
    assert str(back) == "what happened"


def test_iteration_that_failed_keeps_its_history_between_processes() -> None:
    back = pickle.loads(pickle.dumps(NotConvergedError("still moving", (1.0, 0.9))))
    assert str(back) == "still moving"
    assert back.history == (1.0, 0.9)


def test_domain_error_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="outside"):
        raise DomainError("outside")
