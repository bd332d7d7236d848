"""The documents a bench can work with: those that ship with xrfree, and those of the laboratory."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from xrfree.calibration import Calibration
from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method, method_instrument_path
from xrfree.documents.shipped import shipped_path
from xrfree.errors import XrfreeError
from xrfree.instrument import Instrument
from xrfree.method import Method

_SHIPPED = ("methods", "instruments", "fitted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Documents by the path of their file, and why others cannot be used."""

    methods: dict[Path, Method]
    instruments: dict[Path, Instrument]
    calibrations: dict[Path, Calibration]
    broken: dict[Path, str]

    def calibrations_of(self, method: Method) -> dict[Path, Calibration]:
        """Calibrations of spectra that belong to a method and whose instrument is here."""
        known = {instrument.sha256 for instrument in self.instruments.values()}
        return {
            path: c
            for path, c in self.calibrations.items()
            if c.groups and c.method_sha256 == method.sha256 and c.instrument_sha256 in known
        }

    def instrument_of(self, method: Path, calibration: Path | None) -> Path:
        """File of the instrument that a calibration was made with; without one, that the method names."""
        if calibration is None:
            return method_instrument_path(method)
        wanted = self.calibrations[calibration].instrument_sha256
        return next(path for path, instrument in self.instruments.items() if instrument.sha256 == wanted)


def read_shelf(paths: Iterable[Path]) -> Shelf:
    """Those of these files that are methods, instruments or calibrations, after those that ship with xrfree."""
    shelf = Shelf(methods={}, instruments={}, calibrations={}, broken={})
    shipped = [path for name in _SHIPPED for path in sorted(shipped_path(name).rglob("*.toml"))]
    for path in (*shipped, *paths):
        _put(path, shelf)
    return shelf


def _put(path: Path, shelf: Shelf) -> None:
    stated = path.stat()
    found = _read(path, stated.st_mtime_ns, stated.st_size)
    if isinstance(found, Method):
        shelf.methods[path] = found
    elif isinstance(found, Instrument):
        shelf.instruments[path] = found
    elif isinstance(found, Calibration):
        shelf.calibrations[path] = found
    elif found:
        shelf.broken[path] = found


@lru_cache(maxsize=512)
def _read(path: Path, mtime_ns: int, size: int) -> Method | Instrument | Calibration | str:
    """The document in a file, or why it cannot be used; empty for what is none of these kinds.

    mtime_ns, size : of the file; while they stay, it is not read again.
    """
    kind = _kind(path)
    try:
        if kind == "method":
            return load_method(path)
        if kind == "instrument":
            return load_instrument(path)
        return load_calibration(path) if kind == "calibration" else ""
    except XrfreeError as error:
        return str(error)


def _kind(path: Path) -> str:
    """What a document says it is: "xrfree/method/1" is a method; empty for what is none of ours."""
    try:
        schema = tomllib.loads(path.read_text(encoding="utf-8")).get("schema", "")
    except (OSError, ValueError):  # nor is it a document to complain about
        return ""
    parts = str(schema).split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "xrfree" else ""
