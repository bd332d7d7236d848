"""Worker processes: the same results in the same order as without them."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from copyreg import dispatch_table
from types import MappingProxyType
from typing import Any

from xrfree.batch.faults import foreseen
from xrfree.batch.threads import one_thread_each
from xrfree.errors import XrfreeError

Progress = Callable[[int, int], None]

# A worker process belongs to one batch; this is what it does for each item.
_worker_function: Callable[[Any], Any] | None = None


def in_order(
    function: Callable[[Any], Any], items: Sequence[Any], *, jobs: int = 1, progress: Progress | None = None
) -> list[Any]:
    """Results of a function for all items, in their order; an XrfreeError where a worker died over an item.

    function : for jobs > 1 it travels to the workers once; it must not raise.
    """
    if jobs <= 1 or len(items) <= 1:
        return _in_this_process(function, items, progress)
    results: dict[int, Any] = {}
    packed = _packed(function)
    with one_thread_each(), _pool(packed, min(jobs, len(items))) as pool:
        futures = {pool.submit(_call, _packed(item)): i for i, item in enumerate(items)}
        try:
            for future in as_completed(futures):
                _collect(future, futures[future], results)
                if progress is not None:
                    progress(len(results), len(items))
        except BaseException:  # interrupted: do not wait for what nobody will read
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for i in range(len(items)):
        if i not in results:
            results[i] = _alone(packed, items[i])
            if progress is not None:
                progress(len(results), len(items))
    return [results[i] for i in range(len(items))]


def _in_this_process(function: Callable[[Any], Any], items: Sequence[Any], progress: Progress | None) -> list[Any]:
    results = []
    for item in items:
        results.append(function(item))
        if progress is not None:
            progress(len(results), len(items))
    return results


def _pool(packed: bytes, workers: int) -> ProcessPoolExecutor:
    # Workers are spawned, not forked: the same on every system, and safe beside threads.
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(packed,),
    )


def _collect(future: Future[bytes], i: int, results: dict[int, Any]) -> None:
    """Keep a result; the items of a pool whose worker died have none."""
    try:
        results[i] = pickle.loads(future.result())
    except BrokenProcessPool:
        return
    except Exception as error:  # the result could not travel
        results[i] = foreseen(error)


def _alone(packed: bytes, item: Any) -> Any:
    """Second try of an item whose pool died: in a worker of its own, so that only the culprit fails."""
    with one_thread_each(), _pool(packed, 1) as pool:
        try:
            return pickle.loads(pool.submit(_call, _packed(item)).result())
        except BrokenProcessPool:
            return XrfreeError(
                "the worker process died, perhaps for lack of memory. Try again with fewer jobs (--jobs 1)."
            )


def _start_worker(packed: bytes) -> None:
    global _worker_function
    _worker_function = pickle.loads(packed)


def _call(packed: bytes) -> bytes:
    if _worker_function is None:
        raise RuntimeError("a worker was asked to work before it was started")
    return _packed(_worker_function(pickle.loads(packed)))


class _Pickler(pickle.Pickler):
    """Lets the read-only mappings of our nouns travel, which pickle by itself refuses."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.dispatch_table = {**dispatch_table, MappingProxyType: _reduced_mapping}


def _reduced_mapping(mapping: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return (_read_only, (dict(mapping),))


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def _packed(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()
