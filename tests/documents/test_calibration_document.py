"""Calibration documents: exact round trip, identity, messages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfree.calibration import Calibration, StandardPoint
from xrfree.documents.calibration import (
    calibration_data,
    calibration_sha256,
    load_calibration,
    write_calibration,
)
from xrfree.documents.instrument import load_instrument
from xrfree.errors import DocumentError

KEYS = ("low/band/La L", "low/band/Ce L", "high/heavy/Nb K", "low ä/light.1/Al K")
ARRAYS = (
    "log_sensitivity",
    "covariance",
    "blank",
    "blank_uncertainty",
    "blank_correlation",
    "relative_scatter",
    "absolute_scatter",
)

GOOD = """
schema = "xrfree/calibration/1"
name = "May"
tables = "xraylib 4.1.5"
instrument_sha256 = ""
method_sha256 = ""
created = "2025-05-02T09:30:00+00:00"
software_version = "0.1.0"
sensitivities = [
    { group = "low/band/La L", log_sensitivity = 7.1, blank = -3e-06, blank_uncertainty = 2e-06, blank_correlation = 0.1, relative_scatter = 0.004, absolute_scatter = 2e-06 },
    { group = "high/heavy/Nb K", log_sensitivity = 8.1, blank = 0, blank_uncertainty = 0.0, blank_correlation = 0.0, relative_scatter = 0.0, absolute_scatter = 0 },
]
covariance = [
    [1.6e-05],
    [0.0, 2.5e-05],
]
points = [
    { material = "P01", group = "low/band/La L", certified = 0.01, certified_uncertainty = 0.0001, found = 0.011, found_uncertainty = 0.0002 },
]
"""  # noqa: E501


def points() -> st.SearchStrategy[StandardPoint]:
    content, uncertainty = st.floats(-1.0, 1.0), st.floats(0.0, 1.0)
    return st.builds(
        StandardPoint,
        material=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        group=st.sampled_from(KEYS),
        certified=content,
        certified_uncertainty=uncertainty,
        found=content,
        found_uncertainty=uncertainty,
    )


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    n = draw(st.integers(0, len(KEYS)))
    row = st.lists(st.floats(0.0, 1.0), min_size=n, max_size=n).map(np.array)
    factors = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(n, n + 1)) * 0.01
    digest = st.sampled_from(["", "0123456789abcdef" * 4])
    return Calibration(
        name=draw(st.text(st.characters(exclude_categories=["Cs"]))),
        groups=KEYS[:n],
        log_sensitivity=np.array(draw(st.lists(st.floats(-30, 30), min_size=n, max_size=n))),
        covariance=factors @ factors.T,
        blank=draw(row) - 0.5,
        blank_uncertainty=draw(row),
        blank_correlation=2.0 * draw(row) - 1.0,
        relative_scatter=draw(row),
        absolute_scatter=draw(row),
        points=tuple(draw(st.lists(points(), max_size=3))),
        tables="xraylib 4.1.5",
        instrument_sha256=draw(digest),
        method_sha256=draw(digest),
        created="2025-05-02T09:30:00+00:00",
        software_version="0.1.0",
    )


@settings(max_examples=60)
@given(calibrations())
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, calibration: Calibration) -> None:
    path = tmp_path_factory.mktemp("calibration") / "c.toml"
    write_calibration(path, calibration, comment="made by a test\nnot by a laboratory")
    read = load_calibration(path)
    for field in dataclasses.fields(Calibration):
        found, meant = getattr(read, field.name), getattr(calibration, field.name)
        if field.name in ARRAYS:
            assert np.array_equal(found, meant)
        elif field.name != "sha256":
            assert found == meant
    assert read.sha256 == calibration_sha256(calibration)
    write_calibration(path, read)
    assert load_calibration(path).sha256 == read.sha256


def test_plain_data_hold_every_field(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(GOOD)
    optional = {"regions", "curves", "validity", "exclusions", "history"}  # written where there are any
    inside = {field.name for field in dataclasses.fields(Calibration)} - {"sha256", "groups", *ARRAYS} - optional
    written = calibration_data(load_calibration(tmp_path / "c.toml"))
    assert set(written) == {"schema", "sensitivities", "covariance", *inside}


REGION = """
[[regions]]
region = "low/band"
ratios = ["La L:L2-M4,5", "La L:L3-N4,5"]
ratio_deviation = [0.01, -0.02]
ratio_covariance = [[1e-06], [2e-07, 4e-06]]
shapes = ["continuum:1", "noise"]
shape_mean = [0.05, 0.0]
shape_covariance = [[0.0025], [0.0, 0.0004]]
"""


def test_what_standards_taught_is_kept(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(GOOD + REGION)
    read = load_calibration(tmp_path / "c.toml")
    (region,) = read.regions
    assert region.ratios == (("La L", "L2-M4,5"), ("La L", "L3-N4,5"))
    assert np.array_equal(region.ratio_covariance, [[1e-6, 2e-7], [2e-7, 4e-6]])
    write_calibration(tmp_path / "again.toml", read)
    assert load_calibration(tmp_path / "again.toml").sha256 == read.sha256
    assert read.sha256 != _sha256_of(tmp_path, GOOD)


def test_knowledge_of_unequal_lengths_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(GOOD + REGION.replace("[0.05, 0.0]", "[0.05]"))
    with pytest.raises(DocumentError, match=r"c\.toml.*low/band: shape_mean needs finite numbers of shape \(2,\)"):
        load_calibration(tmp_path / "c.toml")


def _sha256_of(folder: Path, text: str) -> str:
    (folder / "other.toml").write_text(text)
    return load_calibration(folder / "other.toml").sha256


def test_identity_changes_with_a_sensitivity(tmp_path: Path, edited: Callable[[str, str, str], str]) -> None:
    path = tmp_path / "c.toml"
    digests = set()
    for text in (GOOD, edited(GOOD, "7.1,", "7.100000000000001,")):
        path.write_text(text)
        digests.add(load_calibration(path).sha256)
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ("calibration/1", "calibration/2", "schema", "calibration/2"),
        ('method_sha256 = ""', 'method_sha256 = "12ab"', "method_sha256", "12ab"),
        ('created = "2025-05-02T09:30:00+00:00"', "", "created", "is missing"),
        ("log_sensitivity = 7.1", "log_sensitivity = nan", "sensitivities[0].log_sensitivity", "nan"),
        ("log_sensitivity = 7.1, ", "", "sensitivities[0].log_sensitivity", "is missing"),
        ("relative_scatter = 0.004", "relative_scatter = -1", "sensitivities[0].relative_scatter", "-1"),
        ("blank = -3e-06", "blank = inf", "sensitivities[0].blank", "inf"),
        ("blank = -3e-06, ", "", "sensitivities[0].blank", "is missing"),
        ("blank_uncertainty = 2e-06", "blank_uncertainty = -1", "sensitivities[0].blank_uncertainty", "-1"),
        ("blank_correlation = 0.1", "blank_correlation = 1.1", "sensitivities[0].blank_correlation", "1.1"),
        ("high/heavy/Nb K", "heavy/Nb K", "sensitivities[1].group", "condition/region/line group"),
        ("high/heavy/Nb K", "high/heavy/Nx K", "sensitivities[1].group", "Nx K"),
        ("high/heavy/Nb K", "low/band/La L", "", "names a group twice"),
        ("[0.0, 2.5e-05]", "[0.0]", "covariance", "lower triangle"),
        ("[0.0, 2.5e-05]", "[1.0, 2.5e-05]", "covariance", "row 0, column 1"),
        ("    [0.0, 2.5e-05],\n", "", "", "2 sensitivities have 1 rows of covariance"),
        ("found_uncertainty = 0.0002", "found_uncertainty = -1.0", "points[0].found_uncertainty", "-1.0"),
        ('material = "P01"', "material = 1", "points[0].material", "is 1"),
    ],
)
def test_an_error_names_place_and_finding(
    refusal: Callable[..., DocumentError],
    edited: Callable[[str, str, str], str],
    old: str,
    new: str,
    place: str,
    found: str,
) -> None:
    error = refusal(load_calibration, edited(GOOD, old, new), "may.toml")
    assert error.place == place
    assert found in error.found


def test_another_kind_of_document_is_refused_by_its_schema(refusal: Callable[..., DocumentError]) -> None:
    assert refusal(load_instrument, GOOD, "may.toml").place == "schema"
