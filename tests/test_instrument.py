"""Spectrometers: the response's formulas, angles, and numbers that no instrument has."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.errors import DomainError
from xrfree.instrument import (
    FWHM_PER_SIGMA,
    Absorber,
    Detector,
    Instrument,
    InstrumentCondition,
    LineRatios,
    Response,
    Tube,
)


def tube(**changes: Any) -> Tube:
    fields: dict[str, Any] = {
        "anode": "Rh",
        "voltage_kv": 15.0,
        "electron_incidence_rad": np.pi / 2,
        "take_off_angle_rad": np.radians(25.0),
    }
    return Tube(**(fields | changes))


def condition(**changes: Any) -> InstrumentCondition:
    fields: dict[str, Any] = {
        "name": "low",
        "tube": tube(),
        "incidence_angle_rad": np.radians(60.0),
        "take_off_angle_rad": np.radians(40.0),
        "energy_zero_kev": 0.0,
        "energy_gain_kev": 0.01,
    }
    return InstrumentCondition(**(fields | changes))


def response(**changes: Any) -> Response:
    return Response(**({"noise_kev": 0.032, "fano": 0.117} | changes))


def instrument(**changes: Any) -> Instrument:
    fields: dict[str, Any] = {
        "name": "bench",
        "conditions": {"low": condition()},
        "detector": Detector(crystal="Si", thickness_cm=0.045),
        "responses": {"low": response()},
    }
    return Instrument(**(fields | changes))


def test_full_width_of_a_gaussian() -> None:
    # exp(-x²/2) = 1/2 at x = FWHM / 2σ.
    assert np.exp(-0.5 * (0.5 * FWHM_PER_SIGMA) ** 2) == pytest.approx(0.5, rel=1e-12)


def test_resolution_at_manganese_is_that_of_a_silicon_drift_detector() -> None:
    sigma = response().sigma_kev(np.array([5.899]), "Si")[0]
    assert sigma == pytest.approx(np.sqrt(0.032**2 + 0.117 * 0.00365 * 5.899), rel=1e-12)
    # Makers state 123 to 150 eV.
    assert 0.123 < sigma * FWHM_PER_SIGMA < 0.150


@given(energy=st.floats(0.0, 60.0), more=st.floats(0.0, 5.0), crystal=st.sampled_from(["Si", "Ge"]))
def test_lines_are_wider_at_higher_energy(energy: float, more: float, crystal: str) -> None:
    narrow, wide = response().sigma_kev(np.array([energy, energy + more]), crystal)
    assert 0.032 <= narrow <= wide


@given(
    energy=st.floats(0.05, 60.0),
    tail=st.tuples(st.floats(-60, 5), st.floats(-5, 5), st.floats(-2, 2), st.floats(-2, 2)),
    shelf=st.floats(-60, 5),
)
def test_shares_are_shares_whatever_the_coefficients(
    energy: float, tail: tuple[float, float, float, float], shelf: float
) -> None:
    share, fall, rest, growth = tail
    made = response(tail_log_share=share, tail_fall=fall, tail_rest=rest, tail_growth=growth, shelf_log_share=shelf)
    at = np.array([energy])
    assert 0.0 < made.tail_share(at)[0] < 0.5
    assert 0.0 < made.shelf_share(at)[0] < 0.5
    assert made.tail_scale(at)[0] > 0.0


def test_shares_follow_the_stated_laws() -> None:
    made = response(
        tail_log_share=-4.0,
        tail_fall=3.0,
        tail_rest=0.6,
        shelf_log_share=-5.0,
        tail_scale_kev=0.15,
        tail_growth=0.5,
    )
    z = 6.4 / 5.0 - 1.0
    at = np.array([6.4])
    assert made.tail_share(at)[0] == pytest.approx(np.exp(-4.0) * (0.4 * np.exp(-3.0 * z) + 0.6), rel=1e-12)
    assert made.shelf_share(at)[0] == pytest.approx(np.exp(-5.0) * (0.4 * np.exp(-3.0 * z) + 0.6), rel=1e-12)
    assert made.tail_scale(at)[0] == pytest.approx(0.15 * (1.0 + 0.5 * z), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize(
    "name", ["noise_kev", "fano", "width_factor_k", "width_factor_l", "wing_reach", "tail_scale_kev"]
)
def test_impossible_response_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(DomainError, match=f"{name} is {value}, expected a number above 0"):
        response(**{name: value})


@pytest.mark.parametrize("name", ["escape_scale", "pulse_pair_time_s"])
def test_escape_and_pile_up_may_be_absent_but_not_negative(name: str) -> None:
    assert getattr(response(**{name: 0.0}), name) == 0.0
    with pytest.raises(DomainError, match=f"{name} is -1.0, expected a number of 0 or more"):
        response(**{name: -1.0})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, marks=pytest.mark.xfail(strict=True, reason="not checked"))
        for changes in [
            {"tail_log_share": np.nan},
            {"shelf_log_share": np.nan},
            {"tail_growth": np.nan},
            {"escape_relative_uncertainty": -0.1},
            {"pile_up_relative_uncertainty": np.nan},
        ]
    ],
)
def test_response_of_no_numbers_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        response(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"anode": "Xx"}, "'Xx' is not the symbol"),
        ({"voltage_kv": 3.9}, "tube voltage is 3.9 kV, expected 4 to 100 kV"),
        ({"voltage_kv": 15000.0}, "tube voltage is 15000.0 kV"),
        ({"voltage_kv": np.nan}, "tube voltage is nan kV"),
        ({"take_off_angle_rad": 25.0}, "take_off_angle_rad is 25.0 rad, expected above 0 and at most π/2"),
        ({"take_off_angle_rad": 0.0}, "take_off_angle_rad is 0.0 rad"),
        ({"electron_incidence_rad": 90.0}, "electron_incidence_rad is 90.0 rad"),
        ({"electron_incidence_rad": np.nan}, "electron_incidence_rad is nan rad"),
    ],
)
def test_impossible_tube_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        tube(**changes)


@pytest.mark.parametrize("name", ["incidence_angle_rad", "take_off_angle_rad"])
@pytest.mark.parametrize("angle", [45.0, 0.0, -0.5, np.nan])
def test_angle_in_degrees_or_none_is_refused(name: str, angle: float) -> None:
    with pytest.raises(DomainError, match=f"{name} is {angle} rad"):
        condition(**{name: angle})


def test_scattering_angle_closes_the_triangle() -> None:
    assert condition().scattering_angle_rad == pytest.approx(np.radians(80.0), rel=1e-12)
    assert type(condition().scattering_angle_rad) is float


@pytest.mark.parametrize(
    ("formula", "mass", "message"),
    [
        ("Beryllium", 0.1, "not a chemical formula"),
        ("Be", -0.1, "areal density of Be is -0.1, expected a number of 0 or more"),
        ("Be", np.nan, "areal density of Be is nan"),
    ],
)
def test_impossible_absorber_is_refused(formula: str, mass: float, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        Absorber(formula=formula, areal_density_g_cm2=mass)


def test_absorber_may_be_absent() -> None:
    assert Absorber(formula="Be", areal_density_g_cm2=0.0).areal_density_g_cm2 == 0.0


def test_impossible_detector_is_refused() -> None:
    with pytest.raises(DomainError, match="detector crystal is 'HgI2', expected one of Si, Ge, CdTe"):
        Detector(crystal="HgI2", thickness_cm=0.1)
    with pytest.raises(DomainError, match=r"detector thickness in cm is 0\.0"):
        Detector(crystal="Si", thickness_cm=0.0)


def test_line_ratios_need_one_deviation_and_one_covariance_row_for_each_cluster() -> None:
    clusters = (("La L", "L2-M4,5"), ("Ce L", "L1-M2"))
    made = LineRatios(clusters=clusters, deviation=np.array([0.01, 0.02]), covariance=np.eye(2))
    assert not made.deviation.flags.writeable
    for deviation, covariance in (
        (np.zeros(3), np.eye(2)),
        (np.zeros(2), np.eye(3)),
        (np.array([0.0, np.nan]), np.eye(2)),
    ):
        with pytest.raises(DomainError, match="line ratios of 2 clusters need"):
            LineRatios(clusters=clusters, deviation=deviation, covariance=covariance)


def test_instrument_needs_conditions_and_a_response_for_each() -> None:
    with pytest.raises(DomainError, match="instrument bench has no excitation condition"):
        instrument(conditions={})
    with pytest.raises(DomainError, match="instrument bench has no detector response for low"):
        instrument(responses={"high": response()})


def test_instrument_travels_between_processes_and_cannot_be_changed() -> None:
    made = instrument(log_scale={"low": -12.0}, tables="xraylib 4", sha256="ab" * 32)
    back = pickle.loads(pickle.dumps(made))
    assert back.name == "bench"
    assert dict(back.conditions) == dict(made.conditions)
    assert dict(back.responses) == dict(made.responses)
    assert dict(back.log_scale) == {"low": -12.0}
    assert (back.tables, back.sha256) == (made.tables, made.sha256)
    with pytest.raises(TypeError):
        made.responses["low"] = response()  # type: ignore[index]
