"""What a spectrum format is: a name, its suffixes, a test on the first bytes, and a function that reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.spectrum import Measurement, SourceFile

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumBytes:
    """The bytes of one spectrum file, read once, with their digest."""

    path: Path
    content: bytes
    sha256: str

    @property
    def source(self) -> SourceFile:
        """The file as it is named in a measurement."""
        return SourceFile(path=str(self.path), sha256=self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumFormat:
    """One file format; other packages offer theirs in the entry-point group `xrfree.spectrum_formats`.

    name : for people, e.g. "EMSA/MAS".
    suffixes : with the dot, lower case; asked only when no format recognises the content.
    recognises : whether the first 4096 bytes of a file look like this format.
    read : turns bytes and an optional profile into a measurement, or raises an XrfreeError.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[SpectrumBytes, ReaderProfile | None], Measurement]
