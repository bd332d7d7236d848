"""Method documents: what is read, identity, and messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.composition import USUAL_OXIDES
from xrfree.documents.method import load_method, method_instrument_path
from xrfree.errors import DocumentError
from xrfree.method import Background, ConditionMatch, Method, Region
from xrfree.specimen import Fusion, SpecimenForm

GOOD = """
schema = "xrfree/method/1"
name = "Rare earths"
instrument = "../instruments/bench.toml"
analytes = ["La", "Ce"]
coverage_factor = 2
[specimen]
form = "pressed powder"
density_g_cm3 = 3.2
thickness_cm = 0.5
[[regions]]
name = "band"
condition = "low"
ranges_kev = [[3.5, 7.15], [7.45, 11.5]]
quantified = ["Ce L", "Fe K", "La L"]
accompanying = ["K K", "Zn K"]
[[regions]]
name = "light"
condition = "low"
ranges_kev = [[1.35, 3.5]]
quantified = ["Al K", "Si K", "P K", "K K"]
background_terms = 2
[conditions.low]
names = ["low"]
tube_voltage_kv = 15.0
[unseen]
oxides = { Fe = "FeO" }
loss_on_ignition = { CO2 = 0.7, H2O = 0.3 }
"""

BEAD = """[specimen]
form = "fused bead"
density_g_cm3 = 2.4
thickness_cm = 0.3
[specimen.fusion]
flux = { Li2B4O7 = 12, LiBO2 = 22 }
sample_g = 0.66
flux_g = 7.2
ignited_mass_per_g_sample = 0.9
"""

Edit = Callable[[str, str, str], str]


def load_text(folder: Path, text: str) -> Method:
    path = folder / "ore.toml"
    path.write_text(text, encoding="utf-8")
    return load_method(path)


def test_a_method_says_what_its_document_says(tmp_path: Path) -> None:
    method = load_text(tmp_path, GOOD)
    assert method.analytes == ("La", "Ce")
    assert method.quantified_elements == ("La", "Ce", "Fe", "Al", "Si", "P", "K")
    assert method.regions[1] == Region(
        name="light",
        condition="low",
        ranges_kev=((1.35, 3.5),),
        quantified=("Al K", "Si K", "P K", "K K"),
        background_terms=2,
    )
    assert method.conditions == {"low": ConditionMatch(names=("low",), tube_voltage_kv=15.0)}
    assert method.specimen is not None
    assert method.specimen.areal_density_g_cm2 == 1.6
    assert (method.coverage_factor, method.false_positive_risk, method.ratio_sigma) == (2.0, 0.05, 0.02)


RATIOS = """background_terms = 2
[regions.ratios]
"P K-M" = "free"
"Si K-M" = "P K-M"
"K K" = "fixed"
"""


def test_a_region_may_say_more(tmp_path: Path, edited: Edit) -> None:
    text = edited(GOOD, "background_terms = 2", 'background = "polynomial"\nnon_negative = true\n' + RATIOS)
    region = load_text(tmp_path, text).regions[1]
    assert region.background is Background.POLYNOMIAL
    assert region.non_negative
    assert dict(region.ratios) == {"P K-M": "free", "Si K-M": "P K-M", "K K": "fixed"}


def test_what_a_document_does_not_say_is_no_part_of_its_identity(tmp_path: Path, edited: Edit) -> None:
    # The identity that calibrations made before these keys refer to.
    plain = load_text(tmp_path, GOOD)
    assert plain.sha256 == "e8f844b152b89b1f05ce47d80d27338923053c61ff2a49ab507ba76d055f6eb6"
    assert (plain.regions[0].background, plain.regions[0].ratios) == (Background.SCATTERED, ())
    assert not plain.regions[0].non_negative
    assert not plain.regions[0].floor
    assert load_text(tmp_path, edited(GOOD, "background_terms = 2", RATIOS)).sha256 != plain.sha256


def test_usual_oxides_stand_where_none_is_named(tmp_path: Path) -> None:
    unseen = load_text(tmp_path, GOOD).unseen
    assert unseen.oxides == {**USUAL_OXIDES, "Fe": "FeO"}
    assert unseen.remainder == "F-O"


def test_specimen_may_be_left_to_a_list(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("[specimen]")] + GOOD[GOOD.index("[[regions]]") :]
    assert load_text(tmp_path, text).specimen is None


def test_specimen_may_be_a_bead(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("[specimen]")] + BEAD + GOOD[GOOD.index("[[regions]]") :]
    specimen = load_text(tmp_path, text).specimen
    assert specimen is not None
    assert specimen.form is SpecimenForm.FUSED_BEAD
    assert specimen.fusion == Fusion(
        flux=(("Li2B4O7", 12.0), ("LiBO2", 22.0)), sample_g=0.66, flux_g=7.2, ignited_mass_per_g_sample=0.9
    )


def test_instrument_lies_where_the_method_says(tmp_path: Path) -> None:
    (tmp_path / "instruments").mkdir()
    (tmp_path / "methods").mkdir()
    (tmp_path / "instruments" / "bench.toml").write_text("")
    (tmp_path / "methods" / "ore.toml").write_text(GOOD)
    assert method_instrument_path(tmp_path / "methods" / "ore.toml").samefile(tmp_path / "instruments" / "bench.toml")


def test_identity_does_not_depend_on_where_the_instrument_lies(tmp_path: Path, edited: Edit) -> None:
    one = load_text(tmp_path, GOOD).sha256
    assert load_text(tmp_path, edited(GOOD, "../instruments/bench.toml", "other.toml")).sha256 == one
    assert load_text(tmp_path, edited(GOOD, "coverage_factor = 2", "coverage_factor = 2.0")).sha256 == one
    assert load_text(tmp_path, edited(GOOD, "coverage_factor = 2", "coverage_factor = 3")).sha256 != one


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ("method/1", "method/7", "schema", "xrfree/method/7"),
        ('instrument = "../instruments/bench.toml"', "", "instrument", "is missing"),
        ("../instruments/bench.toml", "a\\u0000b", "instrument", "expected the path"),
        ('analytes = ["La", "Ce"]', "analytes = []", "analytes", "at least 1"),
        ('["La", "Ce"]', '["La", "Xe"]', "analytes[1]", "'Xe', which no region quantifies"),
        ('["La", "Ce"]', '["La", "Xx"]', "analytes[1]", "'Xx' is not the symbol"),
        ('["La", "Ce"]', '["La", "La"]', "analytes[1]", "stands there already"),
        ("coverage_factor = 2", "coverage_factor = -2", "coverage_factor", "-2"),
        ("coverage_factor = 2", "coverage_factor = true", "coverage_factor", "True"),
        ("coverage_factor = 2", "false_positive_risk = 1.0", "false_positive_risk", "1.0"),
        ("coverage_factor = 2", "ratio_sigma = nan", "ratio_sigma", "nan"),
        ('"pressed powder"', '"loose powder"', "specimen.form", "loose powder"),
        ("thickness_cm = 0.5", "thickness_cm = -0.5", "specimen.thickness_cm", "-0.5"),
        (
            "thickness_cm = 0.5",
            "thickness_cm = 1\nloss_on_ignition = 30",
            "specimen",
            "loss on ignition is 30",
        ),
        ('"pressed powder"', '"fused bead"', "specimen", "needs weighing record"),
        ('"Fe K", "La L"', '"Fe K", "Lq L"', "regions[0].quantified[2]", "'Lq L'"),
        ('"Fe K", "La L"', '"Fe K", "La L3"', "regions[0].quantified[2]", "La L3"),
        ('"Fe K", "La L"', '"Fe K", "La"', "regions[0].quantified[2]", "such as 'La L'"),
        ('"Fe K", "La L"', '"Fe K", "H L"', "regions[0].quantified[2]", "no L line of H"),
        ('"P K", "K K"', '"P K", "La L"', "regions[1].quantified[3]", "already quantified in 'low' by 'La L'"),
        ('"P K", "K K"', '"P K", "Rh L"', "regions[1].quantified[3]", "names no oxide of Rh"),
        ('"K K", "Zn K"', '"La L"', "regions[0]", "names a line group twice"),
        ("[[1.35, 3.5]]", "[[3.5, 1.35]]", "regions[1]", "0 < low < high"),
        ("[[1.35, 3.5]]", "[[1.35, nan]]", "regions[1].ranges_kev[0][1]", "nan"),
        ("[[1.35, 3.5]]", "[]", "regions[1].ranges_kev", "at least 1"),
        ("background_terms = 2", "background_terms = 2.5", "regions[1].background_terms", "2.5"),
        ("background_terms = 2", "background_terms = 20", "regions[1].background_terms", "20"),
        ("background_terms = 2", 'background = "linear"', "regions[1].background", "linear"),
        (
            "background_terms = 2",
            RATIOS.replace('"fixed"', '"loose"'),
            "regions[1]",
            "is 'loose', expected free, fixed, tied or",
        ),
        ("background_terms = 2", RATIOS.replace('"K K"', '"K L9"'), "regions[1].ratios.K L9.[key]", "such as 'Pr L2'"),
        ("background_terms = 2", RATIOS.replace('"K K"', '"K K-Q"'), "regions[1].ratios.K K-Q.[key]", "expected"),
        ("background_terms = 2", RATIOS.replace('"K K"', '"H L2"'), "regions[1].ratios.H L2.[key]", "no line of H L2"),
        ("background_terms = 2", RATIOS.replace('"K K"', '"Fe K-M"'), "regions[1]", "none of the region's lines"),
        ("background_terms = 2", RATIOS.replace('"K K" = "fixed"', '"K K" = "Si K-M"'), "regions[1]", "itself P K-M"),
        ('quantified = ["Ce L"', 'background = "snip"\nquantified = ["Ce L"', "regions[0]", "peak clipping"),
        ('name = "light"', 'name = "band"', "regions[1].name", "an earlier region"),
        ('name = "light"', 'name = "li/ght"', "regions[1].name", "without '/'"),
        ("[conditions.low]", "[conditions.high]", "regions[0].condition", "the method's conditions: 'high'"),
        ('names = ["low"]\ntube_voltage_kv = 15.0', "", "conditions.low", "to recognise a spectrum by"),
        ("tube_voltage_kv = 15.0", "tube_kv = 15.0", "conditions.low.tube_kv", "is not a key"),
        ('Fe = "FeO"', 'Fe = "SO3"', "unseen", "Fe is to be bound as SO3"),
        ('Fe = "FeO"', 'Fe = "fe0"', "unseen.oxides.Fe", "fe0"),
        ("CO2 = 0.7", "CO2 = 0.6", "unseen", "must sum to 1"),
        ("CO2 = 0.7", "CO2 = -0.7", "unseen.loss_on_ignition.CO2", "-0.7"),
        ("oxides = {", 'remainder = "F-P"\noxides = {', "unseen.remainder", "nor 'F-O'"),
    ],
)
def test_an_error_names_place_and_finding(
    refusal: Callable[..., DocumentError], edited: Edit, old: str, new: str, place: str, found: str
) -> None:
    error = refusal(load_method, edited(GOOD, old, new), "ore.toml")
    assert error.place == place
    assert found in error.found
