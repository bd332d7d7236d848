"""Numbers and texts at stated places of a binary file; a place beyond the end is an error, not an exception."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._header import Stated

_COPY_AGAIN = "Copy the file again from the instrument"


@dataclass(frozen=True, slots=True)
class Binary:
    """The bytes of a file, or of a part of it that starts at `start`; little-endian unless `order` is ">"."""

    path: Path
    content: bytes
    start: int = 0
    order: str = "<"

    def part(self, offset: int, length: int) -> Binary:
        """A part of these bytes, whose places are still told from the start of the file."""
        self._refuse_beyond(offset, length)
        return Binary(self.path, self.content[offset : offset + length], self.start + offset, self.order)

    def integer(self, kind: str, offset: int) -> int:
        """A whole number; `kind` as in the module struct ("H", "i", ...)."""
        self._refuse_beyond(offset, struct.calcsize(self.order + kind))
        return int(struct.unpack_from(self.order + kind, self.content, offset)[0])

    def real(self, kind: str, offset: int) -> float:
        """A finite number of the kind "f" or "d"."""
        self._refuse_beyond(offset, struct.calcsize(self.order + kind))
        value = float(struct.unpack_from(self.order + kind, self.content, offset)[0])
        if not math.isfinite(value):
            raise self.damaged(offset, f"the number there is {value}")
        return value

    def shown(self, kind: str, offset: int) -> str:
        """A number as text, for metadata, where "nan" says that nothing was measured."""
        self._refuse_beyond(offset, struct.calcsize(self.order + kind))
        value = struct.unpack_from(self.order + kind, self.content, offset)[0]
        return f"{value:.9g}" if isinstance(value, float) else str(value)

    def stated(self, kind: str, offset: int, key: str) -> Stated:
        """A finite number with its key and place, for the assembly."""
        value = self.real(kind, offset) if kind in "fd" else float(self.integer(kind, offset))
        return Stated(value, key, self.place(offset))

    def counts(self, kind: str, offset: int, n: int) -> NDArray[np.float64]:
        """`n` whole numbers of a numpy type such as "u4", shape (n,)."""
        dtype = np.dtype(self.order + kind)
        if n < 0:
            raise self.damaged(offset, f"{n} channels are stated")
        self._refuse_beyond(offset, n * dtype.itemsize)
        return np.frombuffer(self.content, dtype, n, offset).astype(np.float64)

    def text(self, offset: int, length: int, encoding: str = "windows-1252") -> str:
        """Text of `length` bytes up to its first zero, without blanks around it."""
        self._refuse_beyond(offset, length)
        raw = self.content[offset : offset + length]
        decoded = raw.decode(encoding, errors="backslashreplace")
        return decoded.partition("\0")[0].strip()

    def place(self, offset: int) -> str:
        """A place as it appears in a message."""
        return f"byte {self.start + offset}"

    def damaged(self, offset: int, found: str) -> SpectrumFileError:
        """An error about what stands at a place."""
        return SpectrumFileError(self.path, place=self.place(offset), found=found, remedy=_COPY_AGAIN)

    def _refuse_beyond(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > len(self.content):
            raise self.damaged(
                max(offset, 0),
                f"{length} bytes are expected here, but the file or its section ends at byte "
                f"{self.start + len(self.content)}",
            )
