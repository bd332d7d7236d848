"""Lists of specimens: what is read from a table, and messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.documents.specimens import SpecimenEntry, load_specimens
from xrfree.errors import DocumentError
from xrfree.specimen import Fusion, Specimen, SpecimenForm

HEADER = (
    "specimen,role,form,density_g_cm3,thickness_cm,loss_on_ignition,flux,sample_g,flux_g,"
    "ignited_mass_per_g_sample,conditions,formula\n"
)
POWDER = "P01,standard,pressed powder,3.2,0.5,0.157,,,,,high low,\n"
BEAD = "B01,standard,fused bead,2.4,0.3,0.157,Li2B4O7:LiBO2 12:22,0.66,7.2,0.85,high low,\n"
PURE = "Fe2O3,pure,pressed powder,3.2,0.5,,,,,,high low,Fe2O3\n"
GOOD = HEADER + POWDER + BEAD + PURE


def load_text(folder: Path, text: str) -> dict[str, SpecimenEntry]:
    path = folder / "specimens.csv"
    path.write_bytes(text.encode("utf-8"))
    return load_specimens(path)


def test_a_row_says_what_a_specimen_is(tmp_path: Path) -> None:
    entries = load_text(tmp_path, GOOD)
    assert list(entries) == ["P01", "B01", "Fe2O3"]
    fusion = Fusion(
        flux=(("Li2B4O7", 12.0), ("LiBO2", 22.0)), sample_g=0.66, flux_g=7.2, ignited_mass_per_g_sample=0.85
    )
    assert entries["B01"].specimen == Specimen(
        form=SpecimenForm.FUSED_BEAD,
        density_g_cm3=2.4,
        thickness_cm=0.3,
        loss_on_ignition=0.157,
        fusion=fusion,
    )
    assert entries["Fe2O3"].contents == {"Fe2O3": 1.0}
    assert entries["Fe2O3"].specimen.loss_on_ignition is None
    assert entries["P01"].contents == {}
    assert entries["P01"].role == "standard"


@pytest.mark.parametrize("decimal", [".", ","], ids=["point", "comma"])
@pytest.mark.parametrize("delimiter", [";", "\t"], ids=["semicolon", "tab"])
def test_other_delimiters_say_the_same(tmp_path: Path, delimiter: str, decimal: str) -> None:
    other = GOOD.replace(",", delimiter).replace(".", decimal)
    assert load_text(tmp_path, other) == load_text(tmp_path, GOOD)


def test_blank_rows_marks_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    other = "\ufeff" + (GOOD + "\n,,,,,,,,,,,\n").replace("\n", "\r\n")
    assert load_text(tmp_path, other) == load_text(tmp_path, GOOD)


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    text = "specimen,form,density_g_cm3,thickness_cm\nA,pressed powder,3,.5\n"
    assert load_text(tmp_path, text)["A"] == SpecimenEntry(
        role="", specimen=Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)
    )


def test_a_mixture_is_formulas_with_mass_shares(tmp_path: Path) -> None:
    entries = load_text(tmp_path, GOOD.replace("low,Fe2O3\n", "low,Fe2O3:0.8  SiO2:.2\n"))
    assert entries["Fe2O3"].contents == {"Fe2O3": 0.8, "SiO2": 0.2}


def test_a_flux_of_one_compound_needs_no_mass(tmp_path: Path) -> None:
    fusion = load_text(tmp_path, GOOD.replace("Li2B4O7:LiBO2 12:22", "Li2B4O7"))["B01"].specimen.fusion
    assert fusion is not None
    assert fusion.flux == (("Li2B4O7", 1.0),)


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ("specimen,role", "sample,role", "line 1", "'specimen'"),
        ("conditions,formula", "conditions,colour", "line 1", "unknown column: 'colour'"),
        ("conditions,formula", "conditions,role", "line 1", "column given twice: 'role'"),
        ("B01,", "P01,", "line 3, specimen", "'P01' already stands in line 2"),
        ("B01,", ",", "line 3, specimen", "is ''"),
        ("fused bead", "melt", "line 3, form", "'melt'"),
        ("bead,2.4", "bead,", "line 3, density_g_cm3", "is empty"),
        ("bead,2.4", "bead,x", "line 3, density_g_cm3", "'x'"),
        ("bead,2.4", "bead,nan", "line 3, density_g_cm3", "'nan'"),
        ("bead,2.4", "bead,1e999", "line 3, density_g_cm3", "'1e999'"),
        ("bead,2.4", "bead,2_4", "line 3, density_g_cm3", "'2_4'"),
        ("bead,2.4", "bead,-2.4", "line 3", "density_g_cm3 is -2.4"),
        ('bead,2.4', 'bead,"2,4"', "line 3, density_g_cm3", "with a decimal point"),
        ("bead,2.4", "bead,2,4", "line 3", "13 cells, expected 12"),
        ("0.3,0.157", "0.3,15.7", "line 3", "loss on ignition is 15.7"),
        ("Li2B4O7:LiBO2 12:22", "", "line 3, flux", "is empty"),
        ("Li2B4O7:LiBO2 12:22", "Li2B4O7:LiBO2 12", "line 3, flux", "2 formulas and 1 masses"),
        ("Li2B4O7:LiBO2 12:22", "Li2B4O7:LiBO2", "line 3, flux", "2 formulas"),
        ("Li2B4O7:LiBO2 12:22", "Li2B4O7:LiBQ2 12:22", "line 3, flux", "LiBQ2"),
        ("Li2B4O7:LiBO2 12:22", "Li2B4O7:LiBO2 12:0", "line 3", "a mass above 0"),
        ("0.66,7.2", ",7.2", "line 3, sample_g", "is empty"),
        ("0.66,7.2", "0,7.2", "line 3", "sample_g is 0.0"),
        ("0.157,,,,,high", "0.157,,1.0,,,high", "line 2, sample_g", "'1.0' for a pressed powder"),
        ("low,Fe2O3", "low,fe2o3", "line 4, formula", "fe2o3"),
        ("low,Fe2O3", "low,Fe\0", "line 4, formula", "is not a chemical formula"),
        ("low,Fe2O3", "low,Fe2O3:0.8 SiO2", "line 4, formula", "is ''"),
        ("low,Fe2O3", "low,Fe2O3:0.8 SiO2:0.3", "line 4, formula", "sum to 1"),
        ("low,Fe2O3", "low,Fe2O3:1.2 SiO2:-0.2", "line 4, formula", "above 0"),
        ("low,Fe2O3", "low,Fe2O3:0.8 Fe2O3:0.2", "line 4, formula", "Fe2O3 twice"),
        ("low,Fe2O3", "low,Fe2O3:", "line 4, formula", "is ''"),
        ("low,Fe2O3", 'low,"Fe2O3', "line 4", "is not CSV"),
    ],
)  # fmt: skip
def test_an_error_names_place_and_finding(
    refusal: Callable[..., DocumentError],
    edited: Callable[[str, str, str], str],
    old: str,
    new: str,
    place: str,
    found: str,
) -> None:
    error = refusal(load_specimens, edited(GOOD, old, new), "specimens.csv")
    assert error.place == place
    assert found in error.found


@pytest.mark.parametrize("text", ["", HEADER, "\n\n"], ids=["empty", "header alone", "blank"])
def test_an_empty_list_is_refused(refusal: Callable[..., DocumentError], text: str) -> None:
    refusal(load_specimens, text, "specimens.csv")


@pytest.mark.parametrize("name", ["mc-a", "mc-b"])
def test_the_lists_beside_the_simulated_spectra_are_read(shared: Path, name: str) -> None:
    entries = load_specimens(shared / "spectra" / name / "specimens.csv")
    assert {entry.role for entry in entries.values()} >= {"standard", "pure"}
    assert all(entry.specimen.fusion for n, entry in entries.items() if n.startswith("B0"))
