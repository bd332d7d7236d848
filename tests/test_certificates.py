"""Certificate documents: round trip, messages, tables, and the certificates that ship."""

from __future__ import annotations

import csv
import datetime as dt
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.documents._base import (
    canonical_json,
    document_sha256,
    load_toml,
    place_in_document,
    toml_text,
    write_toml,
)
from xrfree.documents.certificates import certificate_data, load_certificates, save_certificate
from xrfree.errors import DocumentError, DomainError
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue, ValueKind

ANALYTES = ("La", "Ce", "Pr", "Nd", "Sm", "Nb")

GOOD = """
schema = "xrfree/certificate/1"
name = "ore-1"
basis = "dry"
date = 2024-02-29
values = [
{ component = "Ce", mass_fraction = 0.02, expanded_uncertainty = 0.001, coverage_factor = 2 },
{ component = "LOI", mass_fraction = 0.1, between_laboratory_sd = 0, basis = "ignited", kind = "indicative" },
]
"""

TABLE = """specimen,component,mass_fraction,expanded_uncertainty,coverage_factor,basis
P01,Fe,0.43,0.0026,2,specimen
P01,La,0.0088,8.75e-05,2,specimen
B01,Fe,0.44,0.0026,2,"ore, dry"
"""


def written(folder: Path, text: str, name: str = "ore-1.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def mass_fractions() -> st.SearchStrategy[float]:
    return st.floats(0.0, 1.0)


@st.composite
def reference_values(draw: st.DrawFn, component: str) -> ReferenceValue:
    stated = draw(st.booleans())
    return ReferenceValue(
        component=component,
        mass_fraction=draw(mass_fractions()),
        expanded_uncertainty=draw(mass_fractions()) if stated else None,
        coverage_factor=draw(st.floats(1.0, 4.0)) if stated else None,
        between_laboratory_sd=draw(st.none() | mass_fractions()) if stated else draw(mass_fractions()),
        kind=draw(st.sampled_from(ValueKind)),
        assigned_by=draw(st.sampled_from(Assignment)),
        basis=draw(st.sampled_from(Basis)),
    )


@st.composite
def reference_materials(draw: st.DrawFn) -> ReferenceMaterial:
    components = draw(st.sets(st.sampled_from(["La", "CeO2", "Nb2O5", "LOI", "Fe"]), min_size=1))
    texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)
    return ReferenceMaterial(
        name="ore " + draw(texts),
        values=tuple(draw(reference_values(component)) for component in sorted(components)),
        matrix=draw(texts),
        certificate=draw(texts),
        date=draw(st.none() | st.dates()),
        source=draw(texts),
    )


@given(material=reference_materials())
def test_material_survives_being_written_and_read(material, tmp_path_factory):
    path = tmp_path_factory.mktemp("certificates") / "ore.toml"
    save_certificate(material, path, comment="made by a test")
    assert load_certificates(path) == (material,)


@given(material=reference_materials())
def test_rewriting_a_document_keeps_its_identity(material):
    data = certificate_data(material)
    assert document_sha256(tomllib.loads(toml_text(data))) == document_sha256(data)


def test_value_may_differ_from_what_stands_at_the_top(tmp_path):
    (ore,) = load_certificates(written(tmp_path, GOOD))
    assert (ore["Ce"].basis, ore["Ce"].kind) == (Basis.DRY, ValueKind.CERTIFIED)
    assert (ore["LOI"].basis, ore["LOI"].kind) == (Basis.IGNITED, ValueKind.INDICATIVE)
    assert ore.date == dt.date(2024, 2, 29)


@pytest.mark.parametrize(
    ("found", "instead", "place", "message"),
    [
        ('component = "Ce"', "component = 58", "values[0].component", "is 58: input should be a valid"),
        ("fraction = 0.02", 'fraction = "2 %"', "values[0].mass_fraction", "is '2 %': input should be"),
        ("fraction = 0.02", "fraction = true", "values[0].mass_fraction", "is True: input should be"),
        ("fraction = 0.02", "fraction = nan", "values[0].mass_fraction", "input should be a finite number"),
        ("fraction = 0.02", "fraction = 2.0", "values[0]", "Ce: mass fraction is 2.0, expected 0 to 1"),
        ("mass_fraction = 0.1,", "", "values[1].mass_fraction", "is missing"),
        ("mass_fraction = 0.1,", "percent = 10.0,", "values[1].mass_fraction", "(1 more like this)"),
        ("coverage_factor = 2 ", "k = 2 ", "values[0].k", "is not a key of this document"),
        (', coverage_factor = 2 ', ' ', "values[0]", "belong together"),
        ('"LOI"', '"Lo"', "values[1]", "component 'Lo'"),
        ('"LOI"', '"Ce"', "", "ore-1: Ce given more than once"),
        ('"ignited"', '"wet"', "values[1].basis", "input should be 'dry', 'ignited' or 'specimen'"),
        ('basis = "dry"', "", "values[0].basis", "is missing, and there is none at the top"),
        ("certificate/1", "certificate/2", "schema", "input should be 'xrfree/certificate/1'"),
        ("certificate/1", "method/1", "schema", "is 'xrfree/method/1'"),
        ('name = "ore-1"', "", "name", "is missing"),
        ('name = "ore-1"', 'nmae = "ore-1"', "name", "is missing"),
        ("2024-02-29", '"last year"', "date", "is 'last year'"),
    ],
)  # fmt: skip
def test_invalid_document_names_file_place_and_finding(tmp_path, found, instead, place, message):
    assert GOOD.count(found) == 1
    with pytest.raises(DocumentError) as caught:
        load_certificates(written(tmp_path, GOOD.replace(found, instead)))
    assert caught.value.place == place
    assert message in str(caught.value)
    assert str(caught.value).startswith("ore-1.toml")


def test_long_findings_are_shortened(tmp_path):
    text = GOOD.replace("fraction = 0.02", f'fraction = "{"9" * 500}"')
    with pytest.raises(DocumentError) as caught:
        load_certificates(written(tmp_path, text))
    assert len(str(caught.value)) < 250


def test_broken_toml_names_the_line(tmp_path):
    with pytest.raises(DocumentError, match=r"ore-1.toml: is not valid TOML: .*line 3"):
        load_certificates(written(tmp_path, GOOD.replace('"ore-1"', '"ore-1')))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DocumentError, match=r"ore-9.toml: there is no such file"):
        load_certificates(tmp_path / "ore-9.toml")


def test_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(DocumentError, match=r"folder.toml: cannot be read"):
        load_toml(tmp_path / "folder.toml")


def test_other_encodings_are_refused(tmp_path):
    path = tmp_path / "ore-1.toml"
    path.write_bytes(GOOD.replace("ore-1", "Erz-ä").encode("latin-1"))
    with pytest.raises(DocumentError, match=r"ore-1.toml byte \d+: is not UTF-8 text"):
        load_certificates(path)


def test_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / "ore-1.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_certificates(path)[0].name == "ore-1"


def test_folder_is_read_in_order_of_names(tmp_path):
    for name in ("b", "a", "c"):
        written(tmp_path, GOOD.replace("ore-1", name), f"{name}.toml")
    written(tmp_path, "not a certificate", "notes.txt")
    assert [ore.name for ore in load_certificates(tmp_path)] == ["a", "b", "c"]


def test_folder_without_certificates_is_refused(tmp_path):
    with pytest.raises(DocumentError, match="holds no certificate"):
        load_certificates(tmp_path)


def test_material_described_twice_is_refused(tmp_path):
    written(tmp_path, GOOD, "a.toml")
    written(tmp_path, GOOD, "b.toml")
    with pytest.raises(DocumentError, match=r"b.toml name: ore-1 is already described by a.toml"):
        load_certificates(tmp_path)


def test_table_gives_one_material_per_specimen(tmp_path):
    powder, bead = load_certificates(written(tmp_path, TABLE, "table.csv"))
    assert (powder.name, bead.name) == ("P01", "B01")
    assert powder["La"].standard_uncertainty == pytest.approx(4.375e-05)
    assert (powder["Fe"].basis, bead["Fe"].basis) == (Basis.SPECIMEN, Basis.DRY)


def test_table_may_state_kind_and_method(tmp_path):
    text = "specimen,component,mass_fraction,between_laboratory_sd,kind,assigned_by,basis\n"
    text += "A,La,0.01,0.001,indicative,four-acid,dry\n"
    (ore,) = load_certificates(written(tmp_path, text, "table.csv"))
    assert ore["La"].kind is ValueKind.INDICATIVE
    assert ore.usable_values() == ()


@pytest.mark.parametrize(
    ("found", "instead", "place", "message"),
    [
        ("0.0088", "0,0088", "line 3", "7 cells, expected 6"),
        ("0.0088", '"0,0088"', "line 3, mass_fraction", "is '0,0088', expected a number"),
        ("0.0088", "", "line 3, mass_fraction", "is empty"),
        ("0.0088", "nan", "line 3", "La: mass fraction is nan"),
        ("0.0088", "88", "line 3", "La: mass fraction is 88.0"),
        ("8.75e-05", "", "line 3", "La: has no uncertainty"),
        ("P01,La", "P01,Fe", "", "P01: Fe given more than once"),
        ("P01,La", ",La", "", "needs a name"),
        ("P01,La", "P01,lanthanum", "line 3", "component 'lanthanum'"),
        ('"ore, dry"', "wet", "line 4", "'wet' is not a valid Basis"),
        ('"ore, dry"', '"ore, dry', "line 4", "is not CSV"),
        (",basis", ",base", "line 1", "column missing: 'basis'"),
        ("factor,basis", "factor,basis,units", "line 1", "unknown column: 'units'"),
        ("factor,basis", "factor,basis,basis", "line 1", "a column stands twice"),
        (TABLE, TABLE.splitlines()[0], "", "holds no value below its header"),
        (TABLE, "", "line 1", "column missing"),
    ],
)
def test_invalid_table_names_file_line_and_finding(tmp_path, found, instead, place, message):
    with pytest.raises(DocumentError) as caught:
        load_certificates(written(tmp_path, TABLE.replace(found, instead), "table.csv"))
    assert caught.value.place == place
    assert message in str(caught.value)


def test_blank_lines_of_a_table_are_skipped(tmp_path):
    path = written(tmp_path, TABLE.replace("\nB01", "\n\nB01") + "\n", "table.csv")
    assert len(load_certificates(path)) == 2


def test_identity_ignores_order_and_layout_but_no_value(tmp_path):
    path = written(tmp_path, 'a = 1.0\nb = { c = "x", d = 2024-01-01 }\n')
    other = written(tmp_path, '# comment\nb.d = 2024-01-01\nb.c = "x"\na = 1.0\n', "other.toml")
    assert document_sha256(load_toml(path)) == document_sha256(load_toml(other))
    assert document_sha256({"a": 1.0}) != document_sha256({"a": 1.0000000000000002})


def test_identity_is_the_hash_of_compact_sorted_json():
    assert canonical_json({"b": [1, 0.1], "a": {"µ": True}}) == '{"a":{"µ":true},"b":[1,0.1]}'
    assert document_sha256({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_what_toml_cannot_hold_has_no_identity():
    with pytest.raises(DomainError, match="a document cannot hold"):
        document_sha256({"a": {1, 2}})


def test_place_reads_like_an_expression():
    assert place_in_document(("values", 3, "mass_fraction")) == "values[3].mass_fraction"
    assert place_in_document(()) == ""


def test_document_with_tables_and_rows_is_written_as_read(tmp_path):
    data = {
        "tube": {"kv": 15.0, "filters": [{"element": "Ag", "um": 50.0}]},
        "name": "x",
        "rows": [{"a": 1, "b": "two"}, {"a": 3}],
        "matrix": [[1.0, 0.5], [0.5, 1.0]],
        "empty": [],
        "layers": [{"elements": ["Si", "N"]}],
    }
    write_toml(tmp_path / "x.toml", data, comment="first\n\nsecond")
    assert load_toml(tmp_path / "x.toml") == data
    text = (tmp_path / "x.toml").read_text(encoding="utf-8")
    assert text.startswith("# first\n#\n# second\n\n")
    assert '    { a = 1, b = "two" },\n' in text


def test_shipped_certificates_are_usable(repository):
    materials = load_certificates(repository / "calibration" / "certificates")
    assert len(materials) > 20
    for material in materials:
        assert material.refused_values() == ()
        assert material.element_values()


def test_shipped_values_of_the_analytes_are_fusion_values_of_the_producer(repository, shared):
    # The table spells the elements of OREAS 100a to 102a out; those three are not compared here.
    with (shared / "certificates" / "oreas.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if "Fusion" in row["method"]]
    factor = {"wt.%": 1e-2, "ppm": 1e-6}
    known = {(r["crm"], r["constituent"], round(float(r["value"]) * factor[r["unit"]], 12)) for r in rows}
    checked = 0
    for material in load_certificates(repository / "calibration" / "certificates"):
        for value in material.values:
            if value.component in ANALYTES and not material.name.startswith("OREAS 10"):
                assert (material.name, value.component, round(value.mass_fraction, 12)) in known
                checked += 1
    assert checked > 60


def test_simulated_sets_have_certificates(shared):
    for name in ("mc-a", "mc-b"):
        path = shared / "spectra" / name / "certificates.csv"
        materials = load_certificates(path)
        with path.open(encoding="utf-8", newline="") as table:
            assert sum(len(m.values) for m in materials) == sum(1 for _ in csv.DictReader(table))


def test_a_workbook_is_read_like_a_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (
        ["specimen", "component", "mass_fraction", "between_laboratory_sd", "unit", "basis", "date", "certificate"],
        ["GBW 1", "La", 0.85, 0.01, "%", "dry", dt.date(2024, 2, 29), "GBW(E) 1"],
        [None] * 8,
        ["GBW 1", "Nb2O5", 2100, 60, "mg/kg", "dry", None, None],
    ):
        book.active.append(row)
    book.save(tmp_path / "table.xlsx")
    (material,) = load_certificates(tmp_path / "table.xlsx")
    assert material["La"].mass_fraction == pytest.approx(0.0085)
    assert material["La"].between_laboratory_sd == pytest.approx(1e-4)
    assert material["Nb2O5"].mass_fraction == pytest.approx(0.0021)
    assert material.date == dt.date(2024, 2, 29)
    assert material.certificate == "GBW(E) 1"


def test_rubbish_with_the_name_of_a_workbook_is_refused(tmp_path):
    pytest.importorskip("openpyxl")
    path = written(tmp_path, "this is no archive", "table.xlsx")
    with pytest.raises(DocumentError, match="not a workbook"):
        load_certificates(path)
    with pytest.raises(DocumentError, match="no such file"):
        load_certificates(tmp_path / "absent.xlsx")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("P01,Fe,43,1,percent,specimen,", "unit"),
        ("P01,Fe,43,1,%,specimen,yesterday", "date"),
        ("P01,Fe,43,1,%,specimen,2024-01-01\nP01,La,1,0.1,%,specimen,2024-01-02", "earlier row"),
    ],
)
def test_units_dates_and_contradictions_of_a_table_are_checked(tmp_path, rows, message):
    header = "specimen,component,mass_fraction,between_laboratory_sd,unit,basis,date\n"
    with pytest.raises(DocumentError, match=message):
        load_certificates(written(tmp_path, header + rows, "table.csv"))
