"""Work on a dask.distributed cluster: the same function for the same items, on more machines."""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from xrfree.batch.threads import one_thread_each
from xrfree.batch.workers import AHEAD, Block, Blocks, Function, Group, WorkerDiedError, called, packed
from xrfree.errors import XrfreeError

LOCAL = "local"
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.cycle": "10s",
}
"""A cluster of this machine does not watch itself at work: there are no processors left over for it."""
_loaded: dict[str, Function] = {}


class Cluster:
    """Workers of a dask.distributed cluster.

    place : address of a scheduler (tcp://host:8786), or "local" for a cluster of this machine.
    jobs : worker processes of a local cluster.
    """

    def __init__(self, place: str, *, jobs: int = 1) -> None:
        self.place = place
        self.jobs = jobs

    def results(self, function: Function, groups: Iterable[Group]) -> Iterator[tuple[Any, Any]]:
        """Each key with its result, in the order in which they are done."""
        dask, distributed = _library()
        with ExitStack() as stack:
            client = self._client(dask, distributed, stack)
            code = packed(function)
            digest = hashlib.sha256(code).hexdigest()
            shared = client.scatter(code, broadcast=True)
            blocks = Blocks(groups)
            on_the_way: dict[str, Block] = {}
            done = distributed.as_completed(with_results=False, raise_errors=False)
            while True:
                while len(on_the_way) < AHEAD * max(1, len(client.nthreads())) and (block := blocks.take()) is not None:
                    future = client.submit(_call, shared, digest, block.loads, pure=False, retries=2)
                    on_the_way[future.key] = block
                    done.add(future)
                if not on_the_way:
                    return
                future = next(done)
                yield from _answered(future, on_the_way.pop(future.key), blocks)

    def _client(self, dask: Any, distributed: Any, stack: ExitStack) -> Any:
        try:
            if self.place == LOCAL:
                with one_thread_each(), dask.config.set(QUIET):
                    cluster = stack.enter_context(
                        distributed.LocalCluster(
                            n_workers=self.jobs,
                            threads_per_worker=1,
                            processes=True,
                            dashboard_address="127.0.0.1:0",
                            silence_logs=logging.ERROR,
                        )
                    )
                return stack.enter_context(distributed.Client(cluster))
            return stack.enter_context(distributed.Client(self.place, timeout="20s"))
        except (OSError, TimeoutError, ValueError) as error:
            raise XrfreeError(
                f"no cluster at {self.place} ({' '.join(str(error).split())}). Start `dask scheduler` and "
                "`dask worker` there, or check the address (tcp://host:8786)."
            ) from error


def _answered(future: Any, block: Block, blocks: Blocks) -> Iterator[tuple[Any, Any]]:
    if future.status == "finished":
        yield from blocks.answered(block, future.result())
        return
    reason = " ".join(str(future.exception()).split())
    for key in (key for keys in block.keys for key in keys):
        yield key, WorkerDiedError(f"the cluster lost this block ({reason}). Run the same command again.")


def _call(code: bytes, digest: str, loads: bytes) -> bytes:
    """On a worker: the function is unpacked once for all blocks."""
    if digest not in _loaded:
        _loaded.clear()
        _loaded[digest] = pickle.loads(code)
    return called(_loaded[digest], loads)


def _library() -> tuple[Any, Any]:
    """Packages dask and distributed."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise XrfreeError('a cluster needs dask.distributed. Install it: pip install "xrfree[cluster]"') from error
    return dask, distributed
