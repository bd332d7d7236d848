from __future__ import annotations

import json

from xrfree.batch.assaying import Tally
from xrfree.cli.status import StatusFile


def told(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_tells_its_stage_at_once_and_its_end_always(tmp_path):
    path = tmp_path / "status.json"
    status = StatusFile(path)
    status.reading(1, 8)
    assert (told(path)["stage"], told(path)["done"], told(path)["total"]) == ("reading", 1, 8)
    tally = Tally(numbers={"P1": 4, "P2": 5}, refused_specimens=1)
    status.ended(tally, 2)
    assert told(path)["records"] == {"P1": 4, "P2": 5}
    assert (told(path)["done"], told(path)["exit_code"]) == (3, 2)


def test_a_run_does_not_write_for_every_specimen(tmp_path):
    path = tmp_path / "status.json"
    status = StatusFile(path)
    for n in range(1, 1000):
        status.assaying(Tally(numbers={f"P{i}": i for i in range(n)}), 1000)
        if n == 1:
            first = told(path)
    assert first["done"] == 1
    assert told(path)["done"] < 999


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    StatusFile(None).ended(Tally(), 0)
    assert list(tmp_path.iterdir()) == []
