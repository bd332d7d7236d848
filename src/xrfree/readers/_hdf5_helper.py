"""A process of its own for the HDF5 library, which on damaged files may loop for ever, or crash.

The parent sends a JSON line (path, dataset, size) and the bytes of the file; the helper answers with a JSON line and
the arrays. Nothing is pickled. The helper limits its own processor time: the system ends it, even inside the library,
and the parent refuses the file and starts another helper for the next one.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale
from xrfree.readers._hdf5_search import Found, find_spectra

_LIMIT_S = 0.4
_LIMIT_S_PER_MB = 0.05
# Above what the libraries take themselves; a damaged file that asks for more is refused by the system.
_MOST_MEMORY_BYTES = 3 * 2**28
_COPY_AGAIN = "Copy the file again from where it was written"


def find_spectra_guarded(path: Path, content: bytes, wanted: str | None) -> list[Found]:
    """`find_spectra` in the helper; SpectrumFileError where the library does not come to an end."""
    answer = _HELPER.ask({"path": str(path), "dataset": wanted, "size": len(content)}, content)
    if answer is None:
        raise SpectrumFileError(
            path,
            found="the HDF5 library does not come to an end on this file, or crashes: it is damaged",
            remedy=_COPY_AGAIN,
        )
    header, arrays = answer
    if "error" in header:
        kind = UncalibratedError if header["uncalibrated"] else SpectrumFileError
        place, found, remedy = header["error"]
        raise kind(path, place=place, found=found, remedy=remedy)
    return [_found(each, arrays) for each in header["found"]]


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


class _Helper:
    """The helper of this process, started when it is needed; a forked process gets its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, question: dict[str, Any], content: bytes) -> tuple[dict[str, Any], list[NDArray[Any]]] | None:
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
            code = f"import sys; sys.path[:] = {sys.path!r}; from xrfree.readers._hdf5_helper import serve; serve()"
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


_HELPER = _Helper()


def _received(stream: IO[bytes]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and arrays of one answer; ValueError where the stream ends within it."""
    header = json.loads(stream.readline())
    arrays = []
    for dtype, shape in header["arrays"]:
        size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
        raw = stream.read(size)
        if len(raw) != size:
            raise ValueError("the answer is incomplete")
        arrays.append(np.frombuffer(raw, dtype=dtype).reshape(shape))
    return header, arrays


# --- in the helper ------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer questions until the parent closes the stream."""
    import h5py  # noqa: F401  before time is taken

    _limit_memory()
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := questions.readline():
        question = json.loads(line)
        content = questions.read(question["size"])
        _limit_time(_LIMIT_S + _LIMIT_S_PER_MB * len(content) / 2**20)
        header, arrays = _answer(Path(question["path"]), content, question["dataset"])
        _limit_time(0.0)
        answers.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            answers.write(array.tobytes())
        answers.flush()


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))


def _limit_time(seconds: float) -> None:
    """Have the system end this process after so much of its own time; 0 takes the limit off."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(path: Path, content: bytes, wanted: str | None) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    try:
        found = find_spectra(path, content, wanted)
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
        arrays.append(np.ascontiguousarray(array))
        return len(arrays) - 1

    scale = each.scale
    return {
        "place": each.place,
        "counts": stored(each.counts),
        "live_s": stored(each.live_s),
        "real_s": stored(each.real_s),
        "scale": None
        if scale is None
        else {
            "zero_kev": scale.zero_kev,
            "gain_kev": scale.gain_kev,
            "quadratic_kev": scale.quadratic_kev,
            "place": scale.place,
        },
        "metadata": each.metadata,
    }
