from __future__ import annotations

import math
import operator
import os
from types import MappingProxyType

import pytest

from xrfree.batch.threads import THREAD_LIMITS, one_thread_each
from xrfree.batch.workers import Crew, Processes, ThisProcess, WorkerDiedError


def _sorted(crew: Crew, function, items):
    return sorted(crew.results(function, items), key=lambda pair: str(pair[0]))


def test_results_do_not_depend_on_the_workers():
    items = [float(i) for i in range(40)]
    expected = _sorted(ThisProcess(), math.sqrt, items)
    assert [result for _, result in ThisProcess().results(math.sqrt, items)] == [math.sqrt(i) for i in items]
    assert _sorted(Processes(2), math.sqrt, items) == expected


def test_items_are_taken_as_they_are_needed():
    taken = []
    items = (taken.append(i) or float(i) for i in range(10_000))
    results = Processes(1).results(math.sqrt, items)
    next(results)
    assert len(taken) < 20
    results.close()


def test_read_only_mappings_travel_to_workers():
    items = [MappingProxyType({"a": i}) for i in range(2)]
    assert sorted(r for _, r in Processes(2).results(operator.itemgetter("a"), items)) == [0, 1]


def test_a_worker_that_dies_takes_nothing_else_with_it():
    # The function must be importable by the workers: os._exit ends the process over every number.
    results = [result for _, result in Processes(2).results(os._exit, [3, 4])]
    assert [type(result) for result in results] == [WorkerDiedError, WorkerDiedError]
    assert "--jobs 1" in str(results[0])


def test_workers_have_one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    found = dict(Processes(2).results(os.getenv, ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"]))
    assert found == {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ
    with one_thread_each():
        assert {os.environ[name] for name in THREAD_LIMITS} == {"1"}


def test_a_local_cluster_gives_the_same():
    pytest.importorskip("distributed", reason="needs the extra cluster")
    from xrfree.batch.cluster import Cluster

    items = [float(i) for i in range(200)]
    assert _sorted(Cluster("local", jobs=1), math.sqrt, items) == _sorted(ThisProcess(), math.sqrt, items)


def test_a_cluster_that_is_not_there():
    pytest.importorskip("distributed", reason="needs the extra cluster")
    from xrfree.batch.cluster import Cluster
    from xrfree.errors import XrfreeError

    with pytest.raises(XrfreeError, match="dask scheduler"):
        list(Cluster("tcp:/nonsense", jobs=1).results(math.sqrt, [1.0]))
