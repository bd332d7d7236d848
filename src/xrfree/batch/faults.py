"""Faults of xrfree itself: they are told, kept for a report, and do not stop a batch."""

from __future__ import annotations

import traceback

from xrfree.errors import XrfreeError


class UnexpectedError(XrfreeError):
    """An exception that nobody foresaw; `details` holds its traceback as text."""

    def __init__(self, message: str, details: str) -> None:
        self.details = details
        super().__init__(message)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Keep the traceback when the error travels between processes."""
        return (type(self), (self.args[0], self.details))


def foreseen(error: Exception) -> XrfreeError:
    """The error itself if it is one of ours, else an `UnexpectedError` that says what happened."""
    if isinstance(error, XrfreeError):
        return error
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": .")
    return UnexpectedError(
        f"unexpected {what}. This is a fault of xrfree: please report it, with the output of --debug.",
        "".join(traceback.format_exception(error)),
    )
