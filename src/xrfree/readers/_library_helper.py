"""Processes of their own for libraries, which on damaged files may loop, crash, or ask for all of the memory.

The parent sends a JSON line (path, dataset, size) and the bytes of the file; the helper answers with a JSON line and
the arrays. Nothing is pickled. For every file the helper limits its own processor time and memory: the system ends it,
even inside the library, and the parent refuses the file and starts another helper for the next one. The helper for HDF5
can open no file at all: it sees nothing but the bytes it is sent.
"""

from __future__ import annotations

import atexit
import codecs
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale
from xrfree.readers._bcf_library import sums_of_maps
from xrfree.readers._hdf5_search import Found, find_spectra

# An array of 160 MB, the largest that either library is let read, is made and added up within this.
_LIMIT_S = 0.7
_LIMIT_S_PER_MB = 0.05
# What a file may make a library reserve, beside its own bytes.
_MOST_MEMORY_BYTES = 200 * 2**20
_SIZES = "/proc/self/statm"
_COPY_AGAIN = "Copy the file again from where it was written"


def find_spectra_guarded(path: Path, content: bytes, wanted: str | None) -> list[Found]:
    """`find_spectra` in a helper; SpectrumFileError where the library does not come to an end."""
    return HELPERS["HDF5"].found(path, content, wanted)


def sums_of_maps_guarded(path: Path, content: bytes) -> list[Found]:
    """`sums_of_maps` in a helper; SpectrumFileError where the library does not come to an end."""
    return HELPERS["rosettasciio"].found(path, content, None)


class _Helper:
    """The helper of this process for one library, started when it is needed; a forked process gets its own."""

    def __init__(self, library: str) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def found(self, path: Path, content: bytes, wanted: str | None) -> list[Found]:
        """What the library finds in a file."""
        answer = self._ask({"path": str(path), "dataset": wanted, "size": len(content)}, content)
        if answer is None:
            raise SpectrumFileError(
                path,
                found=f"the library {self._library} does not come to an end on this file, or crashes: it is damaged",
                remedy=_COPY_AGAIN,
            )
        header, arrays = answer
        if "error" in header:
            kind = UncalibratedError if header["uncalibrated"] else SpectrumFileError
            place, found, remedy = header["error"]
            raise kind(path, place=place, found=found, remedy=remedy)
        return [_found(each, arrays) for each in header["found"]]

    def _ask(self, question: dict[str, Any], content: bytes) -> tuple[dict[str, Any], list[NDArray[Any]]] | None:
        """The answer to a question; None where the helper died over it."""
        with self._lock:
            process = self._started()
            if process.stdin is None or process.stdout is None:
                return None
            try:
                process.stdin.write(json.dumps(question).encode() + b"\n" + content)
                process.stdin.flush()
                return _received(process.stdout)
            except (OSError, ValueError):
                self._stop()
                return None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and (self._owner != os.getpid() or self._process.poll() is not None):
            self._stop()
        if self._process is None:
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                f"from xrfree.readers._library_helper import serve; serve({self._library!r})"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            if self._owner != os.getpid():
                atexit.register(self._stop)
            self._owner = os.getpid()
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if self._owner == os.getpid():
            process.kill()
        else:
            process.returncode = 0  # the helper of the process this one was forked from: not ours to end
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        if self._owner == os.getpid():
            process.wait()


HELPERS = {library: _Helper(library) for library in ("HDF5", "rosettasciio")}


def _found(each: dict[str, Any], arrays: list[NDArray[Any]]) -> Found:
    live, real = (None if each[key] is None else arrays[each[key]] for key in ("live_s", "real_s"))
    return Found(
        place=each["place"],
        counts=arrays[each["counts"]],
        live_s=live,
        real_s=real,
        scale=None if each["scale"] is None else StatedScale(**each["scale"]),
        metadata=each["metadata"],
    )


def _received(stream: IO[bytes]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and arrays of one answer; ValueError where the stream ends within it."""
    header = json.loads(stream.readline())
    arrays = []
    for dtype, shape in header["arrays"]:
        array = np.empty(shape, dtype=dtype)
        if stream.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
            raise ValueError("the answer is incomplete")
        arrays.append(array)
    return header, arrays


# --- in the helper ------------------------------------------------------------------------------------------


def serve(library: str) -> None:
    """Answer questions until the parent closes the stream."""
    sizes = os.open(_SIZES, os.O_RDONLY) if os.path.exists(_SIZES) else None  # noqa: PTH110
    read = _prepared(library)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := questions.readline():
        question = json.loads(line)
        content = questions.read(question["size"])
        _limit_memory(sizes)
        _limit_time(_LIMIT_S + _LIMIT_S_PER_MB * len(content) / 2**20)
        header, arrays = _answer(read, Path(question["path"]), content, question["dataset"])
        _limit_time(0.0)
        answers.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            answers.write(array.reshape(-1).view(np.uint8).data)
        answers.flush()
        del content, arrays


def _prepared(library: str) -> Callable[[Path, bytes, str | None], list[Found]]:
    """The reading function of a library, which is loaded before time and memory are counted."""
    if library == "HDF5":
        import h5py  # noqa: F401

        for encoding in ("ascii", "latin-1", "utf-8"):  # of texts in attributes; Python loads them when it needs them
            codecs.lookup(encoding)
        _limit("RLIMIT_NOFILE", 3)  # its three streams are open: no file can be opened any more
        return find_spectra
    with suppress(ImportError):
        import rsciio.bruker  # noqa: F401
    return lambda path, _, __: sums_of_maps(path)


def _limit(what: str, most: int) -> None:
    """Set a limit of the system, where it has such limits."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        kind = getattr(resource, what)
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _limit_memory(sizes: int | None) -> None:
    """What is reserved now, and no more than `_MOST_MEMORY_BYTES` beside it."""
    if sizes is not None:
        pages = int(os.pread(sizes, 200, 0).split()[5])
        _limit("RLIMIT_DATA", pages * os.sysconf("SC_PAGE_SIZE") + _MOST_MEMORY_BYTES)


def _limit_time(seconds: float) -> None:
    """Have the system end this process after so much of its own time; 0 takes the limit off."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(
    read: Callable[[Path, bytes, str | None], list[Found]], path: Path, content: bytes, wanted: str | None
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    try:
        found = read(path, content, wanted)
    except SpectrumFileError as error:
        told = [error.place, error.found, error.remedy]
        return {"error": told, "uncalibrated": isinstance(error, UncalibratedError), "arrays": []}, []
    arrays: list[NDArray[Any]] = []
    described = [_described(each, arrays) for each in found]
    return {"found": described, "arrays": [[array.dtype.str, list(array.shape)] for array in arrays]}, arrays


def _described(each: Found, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    def stored(array: NDArray[Any] | None) -> int | None:
        if array is None:
            return None
        arrays.append(np.asarray(array, order="C"))
        return len(arrays) - 1

    return {
        "place": each.place,
        "counts": stored(each.counts),
        "live_s": stored(each.live_s),
        "real_s": stored(each.real_s),
        "scale": None if each.scale is None else asdict(each.scale),
        "metadata": each.metadata,
    }
