"""Worker processes: the same results as without them, as they come, with a bounded number of items on the way."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from copyreg import dispatch_table
from itertools import islice
from types import MappingProxyType
from typing import Any, Protocol

from xrfree.batch.faults import foreseen
from xrfree.batch.threads import one_thread_each
from xrfree.errors import XrfreeError

BLOCK_S = 0.5
"""How long a worker is busy with one block: short enough to commit often, long enough not to wait for the next."""
LARGEST_BLOCK = 64
_ORPHAN_CHECK_S = 2.0

# A worker process belongs to one batch; this is what it does for each item.
_worker_function: Callable[[Any], Any] | None = None


class WorkerDiedError(XrfreeError):
    """A worker process that ended over an item, which is worth another try."""


class Crew(Protocol):
    """Whoever does the work: this process, worker processes, or a cluster."""

    def results(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Each item with its result, in the order in which they are done.

        function : travels to the workers once; it must not raise. A worker that dies over an item gives a
            WorkerDiedError.
        """
        ...


class ThisProcess:
    """Works in this process, one item after the other."""

    def results(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Each item with its result, in order."""
        for item in items:
            yield item, function(item)


class Processes:
    """Works in processes of this machine; scripts that use it need `if __name__ == "__main__":`."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def results(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Each item with its result, in the order in which they are done."""
        call = packed(function)
        blocks = Blocks(items)
        while True:
            lost = yield from self._until_broken(call, blocks)
            for block in lost:
                yield from _second_try(call, block)
            if not lost:
                return

    def _until_broken(self, call: bytes, blocks: Blocks) -> Generator[tuple[Any, Any], None, list[list[Any]]]:
        """Work until nothing is left; return the blocks that were lost when a worker died."""
        lost: list[list[Any]] = []
        with one_thread_each(), _pool(call, self.jobs) as pool:
            on_the_way: dict[Future[bytes], list[Any]] = {}
            try:
                while True:
                    while not lost and len(on_the_way) <= self.jobs and (block := blocks.take()):
                        try:
                            on_the_way[pool.submit(call_block, packed(block))] = block
                        except BrokenProcessPool:
                            lost.append(block)
                    if not on_the_way:
                        return lost
                    for future in wait(on_the_way, return_when=FIRST_COMPLETED).done:
                        block = on_the_way.pop(future)
                        try:
                            answer = future.result()
                        except BrokenProcessPool:
                            lost.append(block)
                            continue
                        yield from blocks.answered(block, answer)
            except BaseException:  # interrupted: do not wait for what nobody will read
                pool.shutdown(wait=False, cancel_futures=True)
                for child in multiprocessing.active_children():
                    child.terminate()
                raise


class Blocks:
    """Cuts items into blocks that keep a worker busy for about `BLOCK_S`."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._size = 1

    def take(self) -> list[Any]:
        """The next block; empty when there is none."""
        return list(islice(self._items, self._size))

    def answered(self, block: list[Any], answer: bytes) -> Iterator[tuple[Any, Any]]:
        """Items of a block with their results, from what `call_block` returned."""
        try:
            seconds, results = pickle.loads(answer)
        except Exception as error:  # the result could not travel
            seconds, results = 0.0, [foreseen(error)] * len(block)
        self._size = max(1, min(LARGEST_BLOCK, 2 * self._size, int(BLOCK_S * len(block) / max(seconds, 1e-6))))
        yield from zip(block, results, strict=True)


def _second_try(call: bytes, block: list[Any]) -> Iterator[tuple[Any, Any]]:
    """A lost block in a worker of its own; if that dies too, item by item, so that only the culprit fails."""
    answer = _alone(call, block)
    if answer is not None:
        yield from Blocks([]).answered(block, answer)
    elif len(block) > 1:
        for item in block:
            yield from _second_try(call, [item])
    else:
        yield (
            block[0],
            WorkerDiedError(
                "the worker process died, perhaps for lack of memory. Try again with fewer jobs (--jobs 1)."
            ),
        )


def _alone(call: bytes, block: list[Any]) -> bytes | None:
    with one_thread_each(), _pool(call, 1) as pool:
        try:
            return pool.submit(call_block, packed(block)).result()
        except BrokenProcessPool:
            return None


def _pool(call: bytes, workers: int) -> ProcessPoolExecutor:
    # Workers are spawned, not forked: the same on every system, and safe beside threads.
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(call, os.getpid()),
    )


def _start_worker(call: bytes, parent: int) -> None:
    global _worker_function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker_function = pickle.loads(call)


def _end_with(parent: int) -> None:
    """Nobody reads the results of a worker whose parent was killed."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_S)
    os._exit(1)


def call_block(items: bytes) -> bytes:
    """What a worker does: seconds it took, and the results of a block of packed items."""
    if _worker_function is None:
        raise RuntimeError("a worker was asked to work before it was started")
    return called(_worker_function, items)


def called(function: Callable[[Any], Any], items: bytes) -> bytes:
    """Seconds and results of a function for packed items, packed."""
    start = time.perf_counter()
    results = [function(item) for item in pickle.loads(items)]
    return packed((time.perf_counter() - start, results))


class _Pickler(pickle.Pickler):
    """Lets the read-only mappings of our nouns travel, which pickle by itself refuses."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.dispatch_table = {**dispatch_table, MappingProxyType: _reduced_mapping}


def _reduced_mapping(mapping: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return (_read_only, (dict(mapping),))


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def packed(value: Any) -> bytes:
    """A value as it travels to another process."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()
