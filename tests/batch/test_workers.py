from __future__ import annotations

import math
import operator
import os
from types import MappingProxyType

from xrfree.batch.threads import THREAD_LIMITS, one_thread_each
from xrfree.batch.workers import in_order
from xrfree.errors import XrfreeError


def test_results_do_not_depend_on_the_number_of_workers():
    items = [float(i) for i in range(7)]
    assert in_order(math.sqrt, items, jobs=2) == in_order(math.sqrt, items, jobs=1)


def test_progress_reaches_the_end_once_per_item():
    told = []
    in_order(math.sqrt, [1.0, 4.0, 9.0], jobs=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    in_order(math.sqrt, [1.0, 4.0], jobs=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_read_only_mappings_travel_to_workers():
    items = [MappingProxyType({"a": i}) for i in range(2)]
    assert in_order(operator.itemgetter("a"), items, jobs=2) == [0, 1]


def test_a_worker_that_dies_takes_nothing_else_with_it():
    # os._exit ends the process over the numbers; every worker that gets one is lost.
    results = in_order(os._exit, [3, 4], jobs=2)
    assert [type(result) for result in results] == [XrfreeError, XrfreeError]
    assert "--jobs 1" in str(results[0])


def test_workers_have_one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert in_order(os.getenv, ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"], jobs=2) == ["1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ
    with one_thread_each():
        assert {os.environ[name] for name in THREAD_LIMITS} == {"1"}
