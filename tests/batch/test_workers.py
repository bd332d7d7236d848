from __future__ import annotations

import math
import operator
import os
import subprocess
import sys
from functools import partial
from types import MappingProxyType

import pytest

from xrfree.batch.threads import THREAD_LIMITS, one_thread_each
from xrfree.batch.workers import Crew, Processes, ThisProcess, WorkerDiedError


def _found(crew: Crew, function, items):
    """What the function gives for each item, of groups of three; it must be importable by the workers."""
    keyed = [(str(item), item) for item in items]
    groups = [keyed[i : i + 3] for i in range(0, len(keyed), 3)]
    return dict(crew.results(partial(map, function), groups))


def test_results_do_not_depend_on_the_workers():
    items = [float(i) for i in range(40)]
    expected = {str(i): math.sqrt(i) for i in items}
    assert _found(ThisProcess(), math.sqrt, items) == expected
    assert _found(Processes(2), math.sqrt, items) == expected


def test_items_are_taken_as_they_are_needed():
    taken = []
    groups = (taken.append(i) or [(i, float(i))] for i in range(10_000))
    results = Processes(1).results(partial(map, math.sqrt), groups)
    next(results)
    assert len(taken) < 20
    results.close()


def test_read_only_mappings_travel_to_workers():
    items = [MappingProxyType({"a": i}) for i in range(2)]
    assert sorted(_found(Processes(2), operator.itemgetter("a"), items).values()) == [0, 1]


def test_a_worker_that_dies_takes_nothing_else_with_it():
    ends = "__import__('os')._exit(3)"
    found = _found(Processes(2), eval, ["1", ends, "2", "3", "4", ends])
    died = {text for text, result in found.items() if isinstance(result, WorkerDiedError)}
    assert died == {ends}
    assert {found[text] for text in "1234"} == {1, 2, 3, 4}
    assert "--jobs 1" in str(found[ends])


def test_workers_have_one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    found = _found(Processes(2), os.getenv, ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])
    assert found == {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ
    with one_thread_each():
        assert {os.environ[name] for name in THREAD_LIMITS} == {"1"}


def test_a_local_cluster_gives_the_same():
    pytest.importorskip("distributed", reason="needs the extra cluster")
    from xrfree.batch.cluster import Cluster

    items = [float(i) for i in range(200)]
    assert _found(Cluster("local", jobs=1), math.sqrt, items) == _found(ThisProcess(), math.sqrt, items)


def test_a_cluster_that_is_not_there():
    pytest.importorskip("distributed", reason="needs the extra cluster")
    from xrfree.batch.cluster import Cluster
    from xrfree.errors import XrfreeError

    with pytest.raises(XrfreeError, match="dask scheduler"):
        _found(Cluster("tcp:/nonsense", jobs=1), math.sqrt, [1.0])


def test_workers_load_no_more_than_they_need():
    code = "import sys, xrfree.batch.preload; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    needless = {"scipy.stats", "scipy.optimize", "sqlalchemy", "h5py", "pydantic", "matplotlib", "xrfree.readers"}
    assert needless.isdisjoint(loaded)
