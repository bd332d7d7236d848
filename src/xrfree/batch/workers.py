"""Worker processes: the same results as without them, as they come, with a bounded number of loads on the way."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from copyreg import dispatch_table
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, Protocol

from xrfree.batch.faults import foreseen
from xrfree.batch.memory import give_back, hold_large_apart
from xrfree.batch.threads import one_thread_each
from xrfree.errors import XrfreeError

BLOCK_S = 0.5
"""How long a worker is busy with one block: short enough to commit often, long enough not to wait for the next."""
AHEAD = 2
"""Blocks on the way for each worker: one that it works on, and one that waits for it."""
LARGEST_BLOCK = 64
"""Groups in one block."""

Function = Callable[[Sequence[Any]], Iterable[Any]]
"""What is done with the loads of a group: one result for each."""
Group = Sequence[tuple[Any, Any]]
"""Loads that are worked on together, each with its key."""

# A worker process belongs to one batch; this is what it does for each group.
_worker_function: Function | None = None


class WorkerDiedError(XrfreeError):
    """A worker process that ended over an item, which is worth another try."""


class Crew(Protocol):
    """Whoever does the work: this process, worker processes, or a cluster."""

    def results(self, function: Function, groups: Iterable[Group]) -> Iterator[tuple[Any, Any]]:
        """Each key with its result, in the order in which they are done.

        function : gets the loads of a group, and gives one result for each; it travels to the workers once, and must
            not raise.
        groups : loads that travel, each with a key that stays here.

        A worker that dies over a group gets its loads one by one; that which ends it gives a WorkerDiedError.
        """
        ...


class ThisProcess:
    """Works in this process, one item after the other."""

    def results(self, function: Function, groups: Iterable[Group]) -> Iterator[tuple[Any, Any]]:
        """Each key with its result, in order."""
        for group in groups:
            yield from zip([key for key, _ in group], function([load for _, load in group]), strict=True)


class Processes:
    """Works in processes of this machine; scripts that use it need `if __name__ == "__main__":`."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def results(self, function: Function, groups: Iterable[Group]) -> Iterator[tuple[Any, Any]]:
        """Each key with its result, in the order in which they are done."""
        hold_large_apart()
        call = packed(function)
        blocks = Blocks(groups)
        while True:
            lost = yield from self._until_broken(call, blocks)
            for block in lost:
                yield from _second_try(call, block)
            if not lost:
                return

    def _until_broken(self, call: bytes, blocks: Blocks) -> Generator[tuple[Any, Any], None, list[Block]]:
        """Work until nothing is left; return the blocks that were lost when a worker died."""
        lost: list[Block] = []
        with one_thread_each(), _pool(call, self.jobs) as pool:
            on_the_way: dict[Future[bytes], Block] = {}
            try:
                while True:
                    while not lost and len(on_the_way) < AHEAD * self.jobs and (block := blocks.take()) is not None:
                        try:
                            on_the_way[pool.submit(call_block, block.loads)] = block
                        except BrokenProcessPool:
                            lost.append(block)
                    if not on_the_way:
                        return lost
                    done = wait(on_the_way, return_when=FIRST_COMPLETED).done
                    while done:
                        future = done.pop()
                        block = on_the_way.pop(future)
                        try:
                            pairs = blocks.answered(block, future.result())
                        except BrokenProcessPool:
                            lost.append(block)
                            continue
                        del future, block  # what was packed is not needed while results are recorded
                        yield from pairs
            except BaseException:  # interrupted: do not wait for what nobody will read
                pool.shutdown(wait=False, cancel_futures=True)
                for child in multiprocessing.active_children():
                    child.terminate()
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some groups on their way to a worker: keys of each, and their loads as they travel."""

    keys: tuple[tuple[Any, ...], ...]
    loads: bytes

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Block:
        """Groups packed; what was packed need not be kept."""
        keys = tuple(tuple(key for key, _ in group) for group in groups)
        return cls(keys=keys, loads=packed([[load for _, load in group] for group in groups]))

    def parts(self) -> Iterator[Block]:
        """Each group alone; of a single group, each load."""
        groups = [
            list(zip(keys, loads, strict=True)) for keys, loads in zip(self.keys, pickle.loads(self.loads), strict=True)
        ]
        yield from (Block.of([part]) for part in (groups if len(groups) > 1 else ([pair] for pair in groups[0])))


class Blocks:
    """Puts groups together to blocks that keep a worker busy for about `BLOCK_S`."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = iter(groups)
        self._size = 1

    def take(self) -> Block | None:
        """The next block; None when there is no more."""
        groups = list(islice(self._groups, self._size))
        return Block.of(groups) if groups else None

    def answered(self, block: Block, answer: bytes) -> list[tuple[Any, Any]]:
        """Keys of a block with their results, from what `call_block` returned."""
        n = len(block.keys)
        try:
            seconds, results = pickle.loads(answer)
        except Exception as error:  # the result could not travel
            seconds, results = 0.0, [[foreseen(error)] * len(keys) for keys in block.keys]
        self._size = max(1, min(LARGEST_BLOCK, 2 * self._size, int(BLOCK_S * n / max(seconds, 1e-6))))
        return [pair for keys, found in zip(block.keys, results, strict=True) for pair in zip(keys, found, strict=True)]


def _second_try(call: bytes, block: Block) -> Iterator[tuple[Any, Any]]:
    """A lost block in a worker of its own; if that dies too, its parts, so that only the culprit fails."""
    answer = _alone(call, block)
    if answer is not None:
        yield from Blocks([]).answered(block, answer)
    elif sum(map(len, block.keys)) > 1:
        for part in block.parts():
            yield from _second_try(call, part)
    else:
        yield (
            block.keys[0][0],
            WorkerDiedError(
                "the worker process died, perhaps for lack of memory. Try again with fewer jobs (--jobs 1)."
            ),
        )


def _alone(call: bytes, block: Block) -> bytes | None:
    with one_thread_each(), _pool(call, 1) as pool:
        try:
            return pool.submit(call_block, block.loads).result()
        except BrokenProcessPool:
            return None


def _pool(call: bytes, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=workers, mp_context=worker_context(), initializer=_start_worker, initargs=([call],)
    )


def worker_context() -> multiprocessing.context.BaseContext:
    """How workers are started: never as copies of this process, whose threads would be missing in them.

    On Linux they are forked from a process that has loaded `preload` and runs nothing; elsewhere they start anew.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["xrfree.batch.preload"])
    return context


def _start_worker(calls: list[bytes]) -> None:
    """Take what is to be done out of `calls`, whose only content it is: a process keeps its arguments in memory."""
    global _worker_function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker_function = pickle.loads(calls.pop())


def _end_with_parent() -> None:
    """Nobody reads the results of a worker whose parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def call_block(loads: bytes) -> bytes:
    """What a worker does: seconds it took, and the results of a block of packed groups."""
    if _worker_function is None:
        raise RuntimeError("a worker was asked to work before it was started")
    return called(_worker_function, loads)


def called(function: Function, loads: bytes) -> bytes:
    """Seconds and results of a function for packed groups, packed."""
    start = time.perf_counter()
    results = [list(function(group)) for group in pickle.loads(loads)]
    answer = packed((time.perf_counter() - start, results))
    del results
    give_back()
    return answer


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
