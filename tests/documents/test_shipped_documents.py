"""Documents that ship, where they lie, and the schemas of all kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xrfree.documents import shipped
from xrfree.documents.certificates import load_certificates
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method, method_instrument_path
from xrfree.documents.schemas import json_schema, schema_names
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DocumentError, DomainError
from xrfree.quantification import quantified_lines

ANALYTES = ("La", "Ce", "Pr", "Nd", "Sm", "Nb")


def method_paths() -> list[Path]:
    return sorted(shipped_path("methods").glob("*.toml"))


def test_every_shipped_instrument_is_valid() -> None:
    for path in shipped_path("instruments").glob("*.toml"):
        assert load_instrument(path).conditions


@pytest.mark.parametrize("path", method_paths(), ids=lambda path: path.stem)
def test_every_shipped_method_finds_the_conditions_of_its_instrument(path: Path) -> None:
    method, instrument = load_method(path), load_instrument(method_instrument_path(path))
    assert {region.condition for region in method.regions} <= set(instrument.conditions)


def test_the_example_method_quantifies_the_analytes() -> None:
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    assert method.analytes == ANALYTES
    assert method.unseen.oxides["Fe"] == "Fe2O3"
    assert method.unseen.oxides["S"] == "SO3"


def test_the_method_of_two_spectra_has_barium_and_the_rare_earths_in_both() -> None:
    plain, both = (load_method(shipped_path("methods", f"iron-ore-{name}edxrf.toml")) for name in ("", "two-spectra-"))
    assert both.quantified_elements == plain.quantified_elements
    assert both.regions[: len(plain.regions)] == plain.regions
    added = [line.key for line in quantified_lines(both) if line not in quantified_lines(plain)]
    assert added == [f"high/rare earths/{element} L" for element in ("La", "Ce", "Pr", "Nd", "Sm", "Ba")]
    assert both.unseen == plain.unseen


def test_the_wheel_has_precedence_over_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "methods").mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path)
    assert shipped_path("methods") == tmp_path / "methods"
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "none")
    assert load_certificates(shipped_path("certificates"))


def test_what_does_not_ship_is_refused_with_what_does() -> None:
    with pytest.raises(DocumentError, match=r"iron-ore-edxrf\.toml"):
        shipped_path("methods", "gold.toml")


def test_lost_data_are_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "none")
    monkeypatch.setattr(shipped, "_CHECKOUT", tmp_path / "none either")
    with pytest.raises(DocumentError, match="Install xrfree again"):
        shipped_path("methods")


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_names_its_version(name: str) -> None:
    schema = json_schema(name)
    assert schema["properties"]["schema"]["const"] == f"xrfree/{name}/1"
    assert json.loads(json.dumps(schema)) == schema


def test_an_unknown_schema_is_refused() -> None:
    with pytest.raises(DomainError, match="known: calibration, certificate, design, flowsheet, instrument"):
        json_schema("recipe")
