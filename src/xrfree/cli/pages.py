"""Which page of the documentation says more: about a command, at the end of its help; about an error, behind it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import typer

from xrfree.errors import (
    CalibrationError,
    DocumentError,
    DomainError,
    FitError,
    LedgerError,
    NotConvergedError,
    SpectrumFileError,
    XrfreeError,
)

OF_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "assay": "tutorials/technician",
        "watch": "batch",
        "bench": "bench",
        "explain": "quality",
        "conform": "quality",
        "chart": "quality",
        "validate": "quality",
        "selftest": "quality",
        "calibrate": "calibration",
        "calibrate-instrument": "tutorials/engineer",
        "plan": "howto",
        "simulate": "method",
        "inspect": "readers",
        "convert": "readers",
        "demo": "tutorials/technician",
        "schema": "documents",
        "docs": "index",
        "flow": "flow",
        "results": "ledger",
        "certificate": "ledger",
        "ledger": "ledger",
        "calibrate-lines": "calibration",
        "assay-lines": "calibration",
        "calibration-report": "calibration",
        "calibration-status": "calibration",
        "calibration-range": "calibration",
        "compare-calibrations": "calibration",
        "design-standards": "calibration",
        "import-certificates": "calibration",
    }
)
_OF_ERRORS: tuple[tuple[type[XrfreeError], str], ...] = (
    (SpectrumFileError, "readers"),
    (DocumentError, "documents"),
    (CalibrationError, "calibration"),
    (FitError, "fit"),
    (NotConvergedError, "method"),
    (LedgerError, "ledger"),
    (DomainError, "howto"),
)


def page_of(error: XrfreeError) -> str:
    """Name of the page that helps with an error; empty where there is none for its kind."""
    return next((page for kind, page in _OF_ERRORS if isinstance(error, kind)), "")


def name_pages(app: typer.Typer) -> None:
    """Let the help of every command, and of every command within it, end with the page that says more."""
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "").replace("_", "-")
        command.epilog = _more(OF_COMMANDS[name])
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is None:
            continue
        more = _more(OF_COMMANDS[str(inner.info.name)])
        inner.info.epilog = more
        for command in inner.registered_commands:
            command.epilog = more


def _more(page: str) -> str:
    return f"More: xrfree docs {page}"
