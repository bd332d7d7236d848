"""What a spectrum format is: a name, its suffixes, a test on the first bytes, and a function that reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.errors import DomainError
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
    """One file format; other packages offer theirs in the entry-point group `xrfree.readers`.

    name : for people, e.g. "EMSA/MAS".
    suffixes : with the dot, lower case; asked only when no format recognises the content.
    recognises : whether the first 4096 bytes of a file look like this format.
    read : turns bytes and an optional profile into a measurement, or raises an XrfreeError.
    read_many : the same for formats whose files may hold several measurements; one of the two is needed.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[SpectrumBytes, ReaderProfile | None], Measurement] | None = None
    read_many: Callable[[SpectrumBytes, ReaderProfile | None], Iterable[Measurement]] | None = None

    def __post_init__(self) -> None:
        """Refuse a format that cannot read."""
        if self.read is None and self.read_many is None:
            raise DomainError(f"the spectrum format {self.name!r} needs a function read or read_many")

    def measurements(self, file: SpectrumBytes, profile: ReaderProfile | None) -> Iterator[Measurement]:
        """All measurements in a file, in its order."""
        if self.read_many is not None:
            yield from self.read_many(file, profile)
        elif self.read is not None:
            yield self.read(file, profile)
