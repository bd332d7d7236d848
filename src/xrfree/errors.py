"""Every error of xrfree.

A message says which file, where in it, what was found, and what to do: it is read by a technician at 2 a.m.
"""

from __future__ import annotations

from pathlib import Path

_LONGEST_FOUND = 640


class XrfreeError(Exception):
    """Root of all errors that xrfree raises on purpose."""


class InputFileError(XrfreeError):
    """A file that cannot be used: `path place: found. remedy`, on one line whatever the file holds.

    Parameters
    ----------
    path : the file.
    place : where in it ("line 14", "channel 3", "tube.kv"); empty when the file as a whole is meant.
    found : what was found, and what was expected.
    remedy : what the reader of the message can do about it.
    """

    def __init__(self, path: Path | str, *, place: str = "", found: str, remedy: str) -> None:
        self.path = Path(path)
        self.place = place
        self.found = found = _short(" ".join(found.splitlines()))
        self.remedy = remedy
        where = f"{self.path.name} {place}".rstrip()
        super().__init__(f"{where}: {found.rstrip('.')}. {remedy.rstrip('.')}.")

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Keep the four parts when the error travels between processes."""
        return (_rebuild_input_file_error, (type(self), self.path, self.place, self.found, self.remedy))


def _short(found: str) -> str:
    """Eight lines of a terminal are read; what a damaged file holds may be longer than that."""
    return found if len(found) <= _LONGEST_FOUND else f"{found[: _LONGEST_FOUND - 3]}..."


def _rebuild_input_file_error(
    kind: type[InputFileError], path: Path, place: str, found: str, remedy: str
) -> InputFileError:
    return kind(path, place=place, found=found, remedy=remedy)


class SpectrumFileError(InputFileError):
    """A spectrum file that is missing, damaged, or contradicts itself."""


class UnknownFormatError(SpectrumFileError):
    """A file that no reader recognises."""


class UncalibratedError(SpectrumFileError):
    """A spectrum without a usable energy scale."""


class DocumentError(InputFileError):
    """A method, instrument, calibration, certificate or specimen document that is not valid."""


class DomainError(XrfreeError, ValueError):
    """A physical quantity outside the range in which it has a meaning or a tabulated value."""


class FitError(XrfreeError):
    """A spectrum that cannot be fitted; the message names the reason."""


class NotDeterminedError(FitError):
    """Data that leave parameters open; `parameters` names those that are, the first being the least determined."""

    def __init__(self, message: str, parameters: tuple[str, ...] = ()) -> None:
        self.parameters = parameters
        super().__init__(message)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Keep the parameters when the error travels between processes."""
        return (type(self), (self.args[0], self.parameters))


class CalibrationError(XrfreeError):
    """A calibration that the standards do not determine, or that does not belong to this measurement."""


class LedgerError(XrfreeError):
    """A ledger that cannot be opened, read or written, or an act that it does not allow; the message says which."""


class NotConvergedError(XrfreeError):
    """An iteration that did not reach its answer; `history` holds the sizes of its steps."""

    def __init__(self, message: str, history: tuple[float, ...] = ()) -> None:
        self.history = history
        super().__init__(message)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Keep the history when the error travels between processes."""
        return (type(self), (self.args[0], self.history))
