from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from xrfree.errors import LedgerError
from xrfree.ledger.acts import amend, release, story
from xrfree.ledger.people import Person, Role, introduce, people
from xrfree.ledger.records import record_digest
from xrfree.ledger.signing import create_key, load_key, signature_is_valid
from xrfree.ledger.store import entry
from xrfree.ledger.verification import verify_ledger

pytest.importorskip("cryptography", reason="signatures need the package cryptography")


@pytest.fixture
def keys(tmp_path):
    return {name: create_key(tmp_path / f"{name}.pem") for name in ("Li", "Wang", "Zhao")}


@pytest.fixture
def staffed(ledger, keys):
    """Li operates, Wang reviews, Zhao approves; all sign."""
    roles = {"Li": Role.OPERATOR, "Wang": Role.REVIEWER, "Zhao": Role.APPROVER}
    for name, role in roles.items():
        introduce(ledger, Person(name=name, roles=(role,), public_key=keys[name].public_key), actor="setup")
    document = {"document": {"second_person_release": True}}
    recipe = {"recipe": {"method_sha256": "m"}, "w": 0.5}
    entries = [entry("method", "ore", document, key="method:m"), entry("result", "P1", recipe, key="1")]
    ledger.append(entries, actor="Li", signer=keys["Li"])
    return ledger


def test_keys_are_read_back_and_sign(tmp_path):
    key = create_key(tmp_path / "a.pem", password="secret")
    assert load_key(tmp_path / "a.pem", password="secret").public_key == key.public_key
    assert (tmp_path / "a.pem").stat().st_mode & 0o077 == 0
    signature = key.sign("ab" * 32)
    assert signature_is_valid(digest="ab" * 32, signature=signature, public_key=key.public_key)
    assert not signature_is_valid(digest="ac" * 32, signature=signature, public_key=key.public_key)
    assert not signature_is_valid(digest="ab" * 32, signature="zz", public_key="")
    for password in ("", "wrong"):
        with pytest.raises(LedgerError, match="XRFREE_KEY_PASSWORD"):
            load_key(tmp_path / "a.pem", password=password)
    with pytest.raises(LedgerError, match="new file"):
        create_key(tmp_path / "a.pem")
    with pytest.raises(LedgerError, match="cannot be read"):
        load_key(tmp_path / "missing.pem")


def test_a_result_is_amended_and_released(staffed, keys):
    amended = amend(staffed, "P1", {"w": 0.6}, reason="wrong bead weight", actor="Wang", signer=keys["Wang"])
    released = release(staffed, "P1", actor="Zhao", signer=keys["Zhao"])
    told = story(staffed, "P1")
    assert told.result.data["w"] == 0.5
    assert told.later == (amended, released)
    assert told.released == released
    assert [record.kind for record in told.documents] == ["method"]
    amend(staffed, "P1", {"w": 0.7}, reason="again", actor="Wang", signer=keys["Wang"])
    assert story(staffed, "P1").released is None
    assert verify_ledger(staffed) == []


@pytest.mark.parametrize(
    ("actor", "signer", "words"),
    [
        ("Li", "Li", "needs a person who is approver"),
        ("Zhao", "Li", "must be signed with the key of Zhao"),
        ("Zhao", None, "must be signed with the key of Zhao"),
        ("Chen", None, "not known"),
    ],
)
def test_nobody_releases_without_right_and_key(staffed, keys, actor, signer, words):
    with pytest.raises(LedgerError, match=words):
        release(staffed, "P1", actor=actor, signer=keys.get(signer))


def test_the_second_person_is_another_one(staffed, keys):
    both = Person(name="Li", roles=(Role.OPERATOR, Role.APPROVER), public_key=keys["Li"].public_key)
    with pytest.raises(LedgerError, match="not known"):
        introduce(staffed, both, actor="setup")
    introduce(staffed, both, actor="Zhao", signer=keys["Zhao"])
    assert people(staffed)["Li"] == both
    with pytest.raises(LedgerError, match="second person"):
        release(staffed, "P1", actor="Li", signer=keys["Li"])


def test_an_amendment_needs_a_reason_and_a_result(staffed, keys):
    with pytest.raises(LedgerError, match="reason"):
        amend(staffed, "P1", {}, reason=" ", actor="Wang", signer=keys["Wang"])
    with pytest.raises(LedgerError, match="no result 'P9'"):
        amend(staffed, "P9", {}, reason="x", actor="Wang", signer=keys["Wang"])


def test_unsigned_records_of_somebody_with_a_key_are_found(staffed):
    staffed.append([entry("result", "P2", {})], actor="Zhao")
    assert [f.problem for f in verify_ledger(staffed)] == ["is by Zhao, but not signed with the key of Zhao"]


def test_a_whole_rewritten_chain_lacks_the_signatures(staffed, tmp_path):
    """Whoever recomputes all digests has not the keys."""
    raw = sqlite3.connect(tmp_path / "lab.sqlite")
    raw.execute("DROP TRIGGER records_no_update")
    previous = "0" * 64
    for record in list(staffed.records()):
        changed = replace(record, previous=previous, content=record.content.replace("0.5", "0.9"))
        previous = record_digest(changed)
        raw.execute(
            "UPDATE records SET previous = ?, content = ?, digest = ? WHERE seq = ?",
            (changed.previous, changed.content, previous, record.seq),
        )
    raw.execute("UPDATE head SET digest = ?", (previous,))
    raw.commit()
    raw.close()
    assert {f.problem for f in verify_ledger(staffed)} == {"has a signature that is not valid"}
