"""Instrument documents: exact round trip, units at the border, messages."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from xrfree.atomic import emission_lines
from xrfree.documents._parts import LineClusterName
from xrfree.documents.instrument import (
    ResponseDocument,
    instrument_data,
    instrument_sha256,
    load_instrument,
    write_instrument,
)
from xrfree.errors import DocumentError, DomainError
from xrfree.instrument import (
    Absorber,
    Detector,
    Instrument,
    InstrumentCondition,
    LineRatios,
    Response,
    Tube,
    TubeSpectrum,
)
from xrfree.templates import cluster_name

SHELLS = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")

GOOD = """
schema = "xrfree/instrument/1"
name = "Bench"

[detector]
crystal = "Si"
thickness_um = 450.0
windows = [{ formula = "Be", thickness_um = 8.0 }]

[conditions.low]
incidence_deg = 45.0
take_off_deg = 30.0
energy_zero_kev = -0.01
energy_gain_kev = 0.01
filters = [{ formula = "C22H10N2O5", thickness_um = 25.0, density_g_cm3 = 1.42 }]
path = [{ gas = "air", length_cm = 2.0 }]

[conditions.low.tube]
anode = "Rh"
voltage_kv = 15
window = [{ formula = "Be", thickness_um = 125.0 }]
electron_incidence_deg = 90.0
take_off_deg = 25.0

[conditions.low.response]
noise_kev = 0.032
fano = 0.117
shelf_log_share = -5.0

[log_scale]
low = 3.5
"low/La L" = 3.4

[line_ratios]
clusters = ["La L2-M4,5", "La L3-N4,5"]
deviation = [0.01, -0.02]
covariance = [
    [4e-4],
    [1e-4, 9e-4],
]
"""

Edit = Callable[[str, str, str], str]


def load_text(folder: Path, text: str) -> Instrument:
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return load_instrument(path)


def positive(high: float) -> st.SearchStrategy[float]:
    return st.floats(1e-12, high)


def angles() -> st.SearchStrategy[float]:
    return st.one_of(st.floats(1e-9, np.pi / 2), st.floats(0.1, 90.0).map(math.radians))


def absorbers() -> st.SearchStrategy[tuple[Absorber, ...]]:
    formula = st.sampled_from(["Be", "Ag", "Ar", "N", "C22H10N2O5"])
    mass = st.floats(0.0, 10.0)
    one = st.builds(lambda f, m: Absorber(formula=f, areal_density_g_cm2=m), formula, mass)
    return st.lists(one, max_size=3).map(tuple)


def responses() -> st.SearchStrategy[Response]:
    any_number = st.floats(-50.0, 50.0)
    return st.builds(
        Response,
        noise_kev=positive(1.0),
        fano=positive(1.0),
        width_factor_k=positive(3.0),
        width_factor_l=positive(3.0),
        wing_reach=positive(5000.0),
        tail_log_share=any_number,
        tail_fall=any_number,
        tail_rest=any_number,
        tail_scale_kev=positive(1.0),
        tail_growth=any_number,
        shelf_log_share=any_number,
        escape_scale=st.floats(0.0, 2.0),
        escape_relative_uncertainty=st.floats(0.0, 1.0),
        pulse_pair_time_s=st.floats(0.0, 1e-5),
        pile_up_relative_uncertainty=st.floats(0.0, 1.0),
    )


@st.composite
def conditions(draw: st.DrawFn, name: str) -> InstrumentCondition:
    return InstrumentCondition(
        name=name,
        tube=Tube(
            anode=draw(st.sampled_from(["Rh", "Ag", "W"])),
            voltage_kv=draw(st.floats(4.0, 100.0)),
            window=draw(absorbers()),
            electron_incidence_rad=draw(angles()),
            take_off_angle_rad=draw(angles()),
        ),
        filters=draw(absorbers()),
        path=draw(absorbers()),
        incidence_angle_rad=draw(angles()),
        take_off_angle_rad=draw(angles()),
        energy_zero_kev=draw(st.floats(-1.0, 1.0)),
        energy_gain_kev=draw(positive(1.0)),
    )


@st.composite
def line_ratios(draw: st.DrawFn) -> LineRatios:
    names = [("La L", "L2-M4,5"), ("Fe K", "K-M"), ("Ce L", "L1-M3"), ("Pb M", "M5-N")]
    n = draw(st.integers(0, 4))
    factors = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(n, n + 1)) * 0.02
    return LineRatios(
        clusters=tuple(names[:n]),
        deviation=np.array(draw(st.lists(st.floats(-0.5, 0.5), min_size=n, max_size=n))),
        covariance=np.array([[np.sum(a * b) for b in factors] for a in factors]).reshape(n, n),
    )


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    names = draw(st.lists(st.sampled_from(["low", "high", "Ag 50 kV", "ä.b"]), min_size=1, unique=True))
    return Instrument(
        name=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
        conditions={name: draw(conditions(name)) for name in names},
        detector=Detector(
            crystal=draw(st.sampled_from(["Si", "Ge", "CdTe"])),
            thickness_cm=draw(positive(1.0)),
            windows=draw(absorbers()),
        ),
        responses={name: draw(responses()) for name in names},
        line_ratios=draw(line_ratios()),
        log_scale={
            key: draw(st.floats(-30.0, 30.0))
            for name in names
            for key in (name, f"{name}/La L", f"{name}/Fe K")
            if draw(st.booleans())
        },
        tables=draw(st.sampled_from(["", "xraylib 4.1.5"])),
    )


def assert_same_numbers(read: Instrument, meant: Instrument) -> None:
    for field in ("name", "conditions", "detector", "responses", "log_scale", "tables"):
        assert getattr(read, field) == getattr(meant, field)
    assert read.line_ratios.clusters == meant.line_ratios.clusters
    assert np.array_equal(read.line_ratios.deviation, meant.line_ratios.deviation)
    assert np.array_equal(read.line_ratios.covariance, meant.line_ratios.covariance)


@settings(max_examples=60)
@given(instruments())
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, instrument: Instrument) -> None:
    path = tmp_path_factory.mktemp("instrument") / "i.toml"
    write_instrument(path, instrument)
    read = load_instrument(path)
    assert_same_numbers(read, instrument)
    assert read.sha256 == instrument_sha256(instrument)


def test_round_trip_keeps_a_covariance_that_rounding_made_uneven(tmp_path: Path) -> None:
    uneven = np.array([[4e-4, 1e-4], [np.nextafter(1e-4, 1.0), 9e-4]])
    instrument = load_text(tmp_path, GOOD)
    ratios = dataclasses.replace(instrument.line_ratios, covariance=uneven)
    meant = dataclasses.replace(instrument, line_ratios=ratios)
    write_instrument(tmp_path / "uneven.toml", meant)
    assert_same_numbers(load_instrument(tmp_path / "uneven.toml"), meant)


def test_people_read_degrees_and_micrometres(tmp_path: Path) -> None:
    instrument = load_text(tmp_path, GOOD)
    condition = instrument.conditions["low"]
    assert condition.take_off_angle_rad == pytest.approx(math.radians(30.0), rel=1e-15)
    assert condition.tube.electron_incidence_rad == pytest.approx(math.pi / 2, rel=1e-15)
    assert condition.filters[0].areal_density_g_cm2 == pytest.approx(25e-4 * 1.42, rel=1e-15)
    assert condition.tube.window[0].areal_density_g_cm2 == pytest.approx(125e-4 * 1.848, rel=1e-3)
    assert instrument.detector.thickness_cm == pytest.approx(0.045, rel=1e-15)
    assert instrument.line_ratios.clusters == (("La L", "L2-M4,5"), ("La L", "L3-N4,5"))
    assert np.array_equal(instrument.line_ratios.covariance, [[4e-4, 1e-4], [1e-4, 9e-4]])
    written = instrument_data(instrument)
    assert written["detector"]["thickness_um"] == 450.0
    assert written["conditions"]["low"]["take_off_deg"] == 30.0
    assert written["conditions"]["low"]["tube"]["window"] == [{"formula": "Be", "thickness_um": 125.0}]


@pytest.mark.parametrize(
    ("gas", "grams", "elements"), [("air", 2.41e-3, {"N", "O", "Ar"}), ("helium", 3.32e-4, {"He"})]
)
def test_a_length_of_gas_is_its_mass(tmp_path: Path, edited: Edit, gas: str, grams: float, elements: set[str]) -> None:
    path = load_text(tmp_path, edited(GOOD, '"air"', f'"{gas}"')).conditions["low"].path
    assert {layer.formula for layer in path} == elements
    assert sum(layer.areal_density_g_cm2 for layer in path) == pytest.approx(grams, rel=1e-12)


def test_layers_and_gases_share_a_path(tmp_path: Path, edited: Edit) -> None:
    layers = '{ formula = "Be", areal_density_g_cm2 = 0.01 }, { gas = "helium", length_cm = 1 }'
    text = edited(GOOD, '{ gas = "air", length_cm = 2.0 }', layers)
    path = load_text(tmp_path, text).conditions["low"].path
    assert [layer.formula for layer in path] == ["Be", "He"]


def test_identity_is_what_is_said_and_not_how(tmp_path: Path, edited: Edit) -> None:
    one = load_text(tmp_path, GOOD).sha256
    assert load_text(tmp_path, "# a comment\n" + GOOD.replace("\n", "\r\n")).sha256 == one
    assert load_text(tmp_path, edited(GOOD, "voltage_kv = 15", "voltage_kv = 15.0")).sha256 == one
    assert load_text(tmp_path, edited(GOOD, "voltage_kv = 15", "voltage_kv = 15.1")).sha256 != one


def test_an_auditor_can_work_out_the_identity(tmp_path: Path, edited: Edit) -> None:
    text = edited(GOOD, "voltage_kv = 15", "voltage_kv = 15.0")
    canonical = json.dumps(tomllib.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert load_text(tmp_path, text).sha256 == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_document_knows_every_number_of_a_response() -> None:
    assert set(ResponseDocument.model_fields) == {field.name for field in dataclasses.fields(Response)}


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ("instrument/1", "instrument/2", "schema", "xrfree/instrument/1"),
        ('schema = "xrfree/instrument/1"', "", "schema", "is missing"),
        ('name = "Bench"', "", "name", "is missing"),
        ('crystal = "Si"', 'crystal = "HgI2"', "detector.crystal", "HgI2"),
        ("thickness_um = 450.0", "", "detector", "exactly one of the keys thickness_um and thickness_cm"),
        ("thickness_um = 450.0", "thickness_um = -4.5", "detector.thickness_um", "-4.5"),
        ("thickness_um = 8.0", "thickness_um = -8.0", "detector.windows[0].thickness_um", "-8.0"),
        ("25.0, density_g_cm3 = 1.42", "1e308, density_g_cm3 = 1e9", "conditions.low.filters", "is inf"),
        ('"Be", thickness_um = 8.0', '"Bx", thickness_um = 8.0', "detector.windows[0].formula", "Bx"),
        (", density_g_cm3 = 1.42", "", "conditions.low.filters[0]", "needs its density_g_cm3"),
        (
            "thickness_um = 25.0, density_g_cm3 = 1.42",
            "areal_density_g_cm2 = 1, density_g_cm3 = 1.42",
            "conditions.low.filters[0]",
            "has no use for density_g_cm3",
        ),
        ('anode = "Rh"', 'anode = "Rx"', "conditions.low.tube.anode", "'Rx'"),
        ('anode = "Rh"', 'anode = "Rh\\u0000"', "conditions.low.tube.anode", "the symbol of an element"),
        ("voltage_kv = 15", 'voltage_kv = "15"', "conditions.low.tube.voltage_kv", "'15'"),
        ("voltage_kv = 15", "voltage_kv = 150", "conditions.low.tube.voltage_kv", "150"),
        ("voltage_kv = 15", "voltage_kv = nan", "conditions.low.tube.voltage_kv", "nan"),
        ("electron_incidence_deg = 90.0", "", "conditions.low.tube", "electron_incidence_deg"),
        ("incidence_deg = 45.0", "incidence_deg = 95.0", "conditions.low.incidence_deg", "95.0"),
        ("incidence_deg = 45.0", "incidence_rad = 2.0", "conditions.low", "at most π/2"),
        ("energy_gain_kev = 0.01", "energy_gain_kev = 0", "conditions.low.energy_gain_kev", "is 0"),
        ("energy_zero_kev = -0.01", "energy_zero_kev = inf", "conditions.low.energy_zero_kev", "inf"),
        (", length_cm = 2.0", "", "conditions.low.path[0]", "the keys gas and length_cm"),
        ("length_cm = 2.0", "length_cm = -2.0", "conditions.low.path[0].length_cm", "-2.0"),
        ("length_cm = 2.0", "length_cm = 2.0, thickness_um = 1", "conditions.low.path[0]", "gas is given by"),
        ('gas = "air"', 'gas = "argon"', "conditions.low.path[0].gas", "argon"),
        ('gas = "air"', 'formula = "N"', "conditions.low.path[0]", "length_cm is for a gas"),
        ("noise_kev = 0.032", "noise_kev = 0", "conditions.low.response.noise_kev", "is 0"),
        ("noise_kev = 0.032", "nois_kev = 0.032", "conditions.low.response.noise_kev", "is missing"),
        ("fano = 0.117", "fano = 0.117\nfanno = 1", "conditions.low.response.fanno", "is not a key"),
        ('"low/La L"', '"low/La Q"', "log_scale.low/La Q.[key]", "condition/line group"),
        ('"low/La L"', '"low/x/La L"', "log_scale.low/x/La L.[key]", "condition/line group"),
        ('"low/La L"', '"high/La L"', "", "there is no condition 'high'"),
        ("low = 3.5", 'low = "3.5"', "log_scale.low", "'3.5'"),
        ("La L2-M4,5", "La L2-Q4", "line_ratios.clusters[0]", "La L2-Q4"),
        ("La L2-M4,5", "H L2-M4,5", "line_ratios.clusters[0]", "no such line of H"),
        ("La L2-M4,5", "Lq L2-M4,5", "line_ratios.clusters[0]", "'Lq' is not the symbol"),
        ("La L2-M4,5", "La L3-N4,5", "line_ratios", "twice"),
        ("[0.01, -0.02]", "[0.01]", "line_ratios", "2 clusters need as many"),
        ("[0.01, -0.02]", "[0.01, -1.5]", "line_ratios.deviation[1]", "-1.5"),
        ("[1e-4, 9e-4]", "[1e-4]", "line_ratios.covariance", "lower triangle"),
        ("[1e-4, 9e-4]", "[1e-4, -9e-4]", "line_ratios.covariance", "variance 1"),
        ("[1e-4, 9e-4]", "[9e-4, 9e-4]", "line_ratios.covariance", "a correlation above 1"),
    ],
)
def test_an_error_names_place_and_finding(
    refusal: Callable[..., DocumentError], edited: Edit, old: str, new: str, place: str, found: str
) -> None:
    start = "\n" if f"\n{old}" in GOOD else ""  # a key, and not the end of a longer one
    error = refusal(load_instrument, edited(GOOD, start + old, start + new), "bench.toml")
    assert error.place == place
    assert found in error.found


def test_no_condition_is_refused(refusal: Callable[..., DocumentError]) -> None:
    text = GOOD[: GOOD.index("[conditions.low]")] + "[conditions]\n"
    assert refusal(load_instrument, text, "bench.toml").place == "conditions"


def test_a_condition_name_may_not_hold_a_slash(refusal: Callable[..., DocumentError]) -> None:
    error = refusal(load_instrument, GOOD.replace("conditions.low", 'conditions."low/1"'), "bench.toml")
    assert error.place.startswith("conditions.low/1")
    assert "without '/'" in error.found


def test_every_cluster_of_a_fit_can_be_written() -> None:
    for element in ("Al", "Ga", "Nb", "La", "Sm", "Pb", "U"):
        for line in (line for shell in SHELLS for line in emission_lines(element, shell)):
            cluster = f"{element} {cluster_name(line.transition)}"
            assert TypeAdapter(LineClusterName).validate_python(cluster) == cluster


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    instrument = load_text(tmp_path, GOOD)
    low = dataclasses.replace(instrument.conditions["low"], energy_gain_kev=math.nan)
    with pytest.raises(DocumentError, match="energy_gain_kev"):
        write_instrument(tmp_path / "new.toml", dataclasses.replace(instrument, conditions={"low": low}))
    assert not (tmp_path / "new.toml").exists()


def test_a_misnamed_condition_is_not_written(tmp_path: Path) -> None:
    instrument = load_text(tmp_path, GOOD)
    with pytest.raises(DomainError, match="no condition by the name of high"):
        write_instrument(tmp_path / "new.toml", dataclasses.replace(instrument, log_scale={"high/La L": 1.0}))


def test_a_cluster_of_another_group_is_not_written(tmp_path: Path) -> None:
    instrument = load_text(tmp_path, GOOD)
    odd = LineRatios(clusters=(("La K", "L2-M4,5"),), deviation=np.zeros(1), covariance=np.eye(1))
    with pytest.raises(DomainError, match="no part of the line group 'La K'"):
        write_instrument(tmp_path / "new.toml", dataclasses.replace(instrument, line_ratios=odd))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be written"):
        write_instrument(tmp_path / "none" / "new.toml", load_text(tmp_path, GOOD))


def test_tube_spectrum_survives_the_document(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(GOOD, encoding="utf-8")
    bench = load_instrument(path)
    low = bench.conditions["low"]
    table = TubeSpectrum(
        energy_kev=np.array([1.0, 4.7, 15.0]),
        flux=np.array([1e9, 3.3e9, 0.0]),
        line_series=("L3-M",),
        line_energy_kev=np.array([2.697]),
        line_flux=np.array([4e9]),
    )
    known = dataclasses.replace(low, tube=dataclasses.replace(low.tube, window=(), spectrum=table))
    write_instrument(path, dataclasses.replace(bench, conditions={**bench.conditions, "low": known}))
    back = load_instrument(path).conditions["low"].tube.spectrum
    assert back is not None
    assert back.line_series == table.line_series
    for name in ("energy_kev", "flux", "line_energy_kev", "line_flux"):
        assert np.array_equal(getattr(back, name), getattr(table, name))
