"""Files that a browser sends: counted while they come, written under safe names, never executed.

What is wrong with an upload is said with a key of the catalogues of texts, so that it can be said in every language.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from xrfree.app.settings import MEGABYTE, Limits
from xrfree.errors import XrfreeError

FIELD = "files"
"""Name of the field of the form that holds files; others are not looked at."""
MOST_FOLDERS = 8
MOST_NAME_BYTES = 200
_BLOCK = 1 << 18
_DRAINED = 4
"""So many times the limit is read on after a refusal, for the browser to show why; then the line is cut."""
_LONGEST_END = 22 + 65_535
_BYTES_PER_ENTRY = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, also those that change the direction of writing."""
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')
_DRIVE = re.compile(r"^[A-Za-z]:")
_SKIPPED_FOLDERS = frozenset({"__MACOSX"})


class UploadRefusedError(XrfreeError):
    """An upload that is not taken: key of the text that says why, its values, and the code of HTTP."""

    def __init__(self, key: str, *, status: int = 400, **values: object) -> None:
        self.key, self.status, self.values = key, status, values
        super().__init__(f"upload refused: {key} {values}")


@dataclass(slots=True)
class Received:
    """What has come so far; `name` is that of its folder, else of its first file."""

    limits: Limits
    n_files: int = 0
    n_bytes: int = 0
    name: str = ""
    archives: list[Path] = field(default_factory=list)

    def count_file(self) -> None:
        """One more file; refused beyond the limit."""
        self.n_files += 1
        if self.n_files > self.limits.most_files:
            raise UploadRefusedError("upload.too_many", status=413, most=self.limits.most_files)

    def count_bytes(self, n: int) -> None:
        """So many more bytes; refused beyond the limit."""
        self.n_bytes += n
        if self.n_bytes > self.limits.most_bytes:
            raise UploadRefusedError("upload.too_large", status=413, most=round(self.limits.most_bytes / MEGABYTE, 1))


def safe_path(name: str) -> PurePosixPath | None:
    """The relative path under which a file of this name may be written; None for what is no spectrum (hidden files).

    UploadRefusedError for names that lead elsewhere (.., absolute paths, drives) or are too long. Control characters,
    and on Windows characters that its names cannot have, become "_".
    """
    text = name.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or text.startswith("/") or _DRIVE.match(text) or ".." in parts:
        raise UploadRefusedError("upload.bad_name", name=shown_name(name))
    if any(part.startswith(".") for part in parts) or not _SKIPPED_FOLDERS.isdisjoint(parts):
        return None
    clean = [_clean(part) for part in parts]
    if len(clean) > MOST_FOLDERS + 1 or any(len(os.fsencode(part)) > MOST_NAME_BYTES for part in clean):
        raise UploadRefusedError("upload.bad_name", name=shown_name(name))
    return PurePosixPath(*clean)


def _clean(part: str) -> str:
    text = _CONTROL.sub("_", part.encode("utf-8", errors="replace").decode("utf-8"))
    if os.name == "nt":
        text = _NOT_ON_WINDOWS.sub("_", text).rstrip(". ") or "_"
        if PurePosixPath(text).stem.upper() in {"CON", "PRN", "AUX", "NUL", *(f"COM{i}" for i in range(1, 10))}:
            text = f"_{text}"
    return text


def shown_name(name: str) -> str:
    """A name for a message: no control characters, not too long."""
    return _CONTROL.sub("_", name)[:80]


async def receive(stream: AsyncIterator[bytes], content_type: str, folder: Path, limits: Limits) -> Received:
    """Write the files of a form (multipart/form-data) into a folder, which must exist; archives stay packed.

    UploadRefusedError as soon as something is wrong; the rest is then read without being kept.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UploadRefusedError("upload.no_form")
    received = Received(limits)
    form = _Form(folder, received)
    parser = MultipartParser(boundary, form.callbacks())
    refused: UploadRefusedError | None = None
    seen = 0
    try:
        async for chunk in stream:
            seen += len(chunk)
            if refused is None:
                try:
                    parser.write(chunk)
                except UploadRefusedError as error:
                    refused = error
                except MultipartParseError:
                    refused = UploadRefusedError("upload.no_form")
                except OSError as error:
                    refused = _unwritable(error)
            elif seen > _DRAINED * limits.most_bytes:
                break
        if refused is None and not form.complete:
            refused = UploadRefusedError("upload.broken_off")
    finally:
        form.close()
    if refused is not None:
        raise refused
    if not received.n_files:
        raise UploadRefusedError("upload.nothing")
    return received


class _Form:
    """Takes what the parser finds, and writes it."""

    def __init__(self, folder: Path, received: Received) -> None:
        self._folder, self._received = folder, received
        self._file: IO[bytes] | None = None
        self._name, self._value = b"", b""
        self._disposition = b""
        self.complete = False

    def callbacks(self) -> Any:
        """What the parser calls."""
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }

    def _part_begins(self) -> None:
        self._disposition, self._name, self._value = b"", b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename", b"").decode("utf-8", errors="replace")
        if options.get(b"name") != FIELD.encode() or not name:
            return  # another field, or a chooser that was left empty
        path = safe_path(name)
        if path is not None:
            self._received.count_file()
            self._received.name = self._received.name or PurePosixPath(path.parts[0]).stem
            self._file = new_file(self._folder, path)
            if path.suffix.lower() == ".zip":
                self._received.archives.append(self._folder / path)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._received.count_bytes(end - start)
        if self._file is not None:
            self._file.write(data[start:end])

    def _part_ends(self) -> None:
        self.close()

    def _ends(self) -> None:
        self.complete = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def new_file(folder: Path, path: PurePosixPath) -> IO[bytes]:
    """A new file below a folder, opened for writing; one name can be had once."""
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise UploadRefusedError("upload.twice", name=shown_name(str(path))) from error


def unpack(received: Received, folder: Path) -> None:
    """Unpack the archives that came, each into a folder of its name, and remove them.

    What an archive says of its sizes is not believed: bytes are counted as they come out. Archives within archives
    stay packed. Blocking; for a thread.
    """
    for archive in received.archives:
        packed = archive.stat().st_size
        received.n_files -= 1
        received.n_bytes -= packed
        start = received.n_bytes
        place = PurePosixPath(archive.relative_to(folder).as_posix()).with_suffix("")
        try:
            _check_directory(archive, received.limits)
            with zipfile.ZipFile(archive) as opened:
                for entry in _entries(opened):
                    path = safe_path(entry.filename)
                    if path is not None:
                        received.count_file()
                        with opened.open(entry) as source, new_file(folder, place / path) as target:
                            _copy(source, target, received, start=start, packed=packed)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise UploadRefusedError("upload.bad_archive", name=shown_name(archive.name)) from error
        except OSError as error:
            raise _unwritable(error) from error
        archive.unlink()


def _check_directory(archive: Path, limits: Limits) -> None:
    """Refuse an archive whose table of contents alone would fill the memory, before it is read.

    The table's size stands 12 bytes into the record at the end (signature "PK" 5 6), which a comment of up to 65 535
    bytes may follow.                                             PKWARE, APPNOTE.TXT 6.3.10, 4.3.16
    """
    with archive.open("rb") as stream:
        stream.seek(max(0, archive.stat().st_size - _LONGEST_END))
        end = stream.read()
    at = end.rfind(b"PK\x05\x06")
    if at >= 0 and int.from_bytes(end[at + 12 : at + 16], "little") > limits.most_files * _BYTES_PER_ENTRY:
        raise UploadRefusedError("upload.too_many", status=413, most=limits.most_files)


def _unwritable(error: OSError) -> UploadRefusedError:
    return UploadRefusedError("upload.unwritable", status=507, reason=error.strerror or type(error).__name__)


def _entries(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    return (entry for entry in archive.infolist() if not entry.is_dir())


def _copy(source: IO[bytes], target: IO[bytes], received: Received, *, start: int, packed: int) -> None:
    limits = received.limits
    while block := source.read(_BLOCK):
        received.count_bytes(len(block))
        out = received.n_bytes - start
        if out > limits.always_bytes and out > limits.most_expansion * packed:
            raise UploadRefusedError("upload.bomb", status=413, most=f"{limits.most_expansion:g}")
        target.write(block)
