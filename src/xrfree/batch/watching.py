"""A folder into which a spectrometer writes: new files are taken when they are complete.

Nothing tells a program on a network drive that a file was closed. A file counts as complete when its size and its
time of change have stood still for a while, by the watcher's own clock, and it can be opened. A specimen counts as
complete when it has a spectrum of every condition that the method needs, or when it has waited long enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.batch.catalogue import Arrival, catalogue
from xrfree.batch.inputs import find_inputs
from xrfree.errors import DomainError
from xrfree.method import Method
from xrfree.quantification import matched_conditions
from xrfree.report.refused import Refusal
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_State = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a look at the folder found: specimens to be assayed, and files that could not be read."""

    arrivals: tuple[Arrival, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class FolderWatch:
    """Remembers what was seen in a folder.

    settle_s : how long a file must stand still. patience_s : how long a specimen waits for its other conditions.
    """

    def __init__(
        self,
        folder: Path,
        method: Method,
        *,
        settle_s: float,
        patience_s: float,
        exclude: Iterable[Path | None] = (),
        profile: ReaderProfile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self._method, self._profile = folder, method, profile
        self._settle_s, self._patience_s, self._exclude, self._clock = settle_s, patience_s, list(exclude), clock
        self._moving: dict[Path, tuple[_State, float]] = {}
        self._taken: dict[Path, _State] = {}
        self._files_of: dict[str, dict[Path, None]] = {}
        self._waiting_since: dict[str, float] = {}
        self._digests: dict[tuple[str, ...], Path] = {}

    @property
    def waiting(self) -> int:
        """Files that are still being written, and specimens that lack a condition."""
        return len(self._moving) + len(self._waiting_since)

    def look(self) -> News:
        """Look into the folder once."""
        now = self._clock()
        complete = [path for path in find_inputs([self.folder], exclude=self._exclude) if self._is_complete(path, now)]
        overdue = [name for name, since in self._waiting_since.items() if now - since >= self._patience_s]
        if not complete and not overdue:
            return News()
        for path in complete:  # a file that was replaced is no copy of itself
            self._digests = {content: known for content, known in self._digests.items() if known != path}
        first = catalogue(complete, profile=self._profile, known=self._digests)
        touched = dict.fromkeys([*first.specimens, *overdue])
        for name, pieces in first.specimens.items():
            self._files_of.setdefault(name, {}).update(dict.fromkeys(piece.path for piece in pieces))
        others = {path for name in touched for path in self._files_of[name] if path.exists()} - set(complete)
        whole = first
        if others:
            # Together with what came earlier of the same specimens.
            whole = catalogue(sorted({*others, *complete}), profile=self._profile, known=self._digests)
        arrivals = [arrival for arrival in whole.arrivals() if arrival.specimen in touched]
        ready = [arrival for arrival in arrivals if self._is_ready(arrival, now)]
        return News(arrivals=tuple(ready), refusals=whole.refusals)

    def _is_complete(self, path: Path, now: float) -> bool:
        """Whether a file that is new, or has changed, stands still and can be opened."""
        try:
            found = path.stat()
        except OSError:
            return False
        state = (found.st_size, found.st_mtime_ns)
        if self._taken.get(path) == state:
            return False
        before, since = self._moving.get(path, (None, now))
        if before != state or found.st_size == 0:
            self._moving[path] = (state, now)
            return False
        if now - since < self._settle_s or not _can_be_opened(path):
            return False
        del self._moving[path]
        self._taken[path] = state
        return True

    def _is_ready(self, arrival: Arrival, now: float) -> bool:
        """Whether nothing is missing, or nobody waits for it any longer."""
        since = self._waiting_since.setdefault(arrival.specimen, now)
        if now - since < self._patience_s and isinstance(arrival.measurement, Measurement):
            try:
                matched_conditions(arrival.measurement, self._method)
            except DomainError:
                return False
        del self._waiting_since[arrival.specimen]
        return True


def _can_be_opened(path: Path) -> bool:
    """Some systems let nobody else open a file that is being written."""
    try:
        with path.open("rb") as stream:
            stream.read(1)
    except OSError:
        return False
    return True
