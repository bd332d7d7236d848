from __future__ import annotations

import pytest

from xrfree.ledger.store import Ledger, entry


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "lab.sqlite") as opened:
        yield opened


@pytest.fixture
def filled(ledger):
    """A ledger of 40 results."""
    for i in range(20):
        ledger.append(
            [
                entry("result", f"P{2 * i + k}", {"w": [0.1 * i, 1e-5 * k], "reason": "é"}, key=f"k{i}.{k}")
                for k in (0, 1)
            ],
            actor="Li",
        )
    return ledger
