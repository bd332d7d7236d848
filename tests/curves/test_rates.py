"""Corrections of counted intensities: laws, covariance, refusals."""

import numpy as np
import pytest

from xrfree.curves.rates import LineRates, corrected_rates, interpolation_weights, live_rate
from xrfree.errors import CalibrationError, DomainError, SpectrumFileError
from xrfree.intensities import CountedPosition, IntensityKind, LineIntensities, LineIntensity
from xrfree.line_method import KnownOverlap, LineCorrection
from xrfree.readers import read_intensities

GROSS = IntensityKind.GROSS


def _peak(name="La-LA1", element="La", *, rate=5000.0, background=(), kind=GROSS, time=20.0, angle=1.0):
    return LineIntensity(
        line=name,
        element=element,
        kind=kind,
        rate_per_s=rate,
        counting_time_s=time,
        two_theta_rad=angle,
        background=background,
    )


def _bg(name, rate, angle, time=10.0):
    return CountedPosition(name=name, rate_per_s=rate, counting_time_s=time, two_theta_rad=angle)


def _of(*lines):
    return LineIntensities(specimen="B01", lines={line.line: line for line in lines})


@pytest.mark.parametrize("true_rate", [10.0, 1e4, 2e5])
def test_dead_time_is_undone(true_rate):
    tau = 3e-7
    measured = true_rate / (1.0 + true_rate * tau)
    assert live_rate(measured, tau) == pytest.approx(true_rate, rel=1e-12)


def test_too_much_dead_time_is_refused():
    with pytest.raises(CalibrationError, match="lower the tube current"):
        live_rate(2e6, 3e-7)


def test_sloping_background_is_interpolated_to_the_peak():
    peak = _peak(background=(_bg("low", 100.0, 0.98), _bg("high", 130.0, 1.04)), angle=1.0)
    weights = interpolation_weights(peak)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert 100.0 * weights["low"] + 130.0 * weights["high"] == pytest.approx(110.0)
    rates = corrected_rates(_of(peak), {"La-LA1": LineCorrection(background=weights)})
    assert rates.rate[0] == pytest.approx(5000.0 - 110.0)
    assert rates.variance_at_zero[0] == pytest.approx(rates.covariance[0, 0] - 4890.0 / 20.0)
    expected = 5000.0 / 20.0 + weights["low"] ** 2 * 100.0 / 10.0 + weights["high"] ** 2 * 130.0 / 10.0
    assert rates.covariance[0, 0] == pytest.approx(expected)


def test_a_shared_background_correlates_two_lines():
    position = _bg("BG1", 400.0, 1.1)
    one, two = _peak("La-LA1", background=(position,)), _peak("Ce-LA1", "Ce", background=(position,))
    correction = LineCorrection(background={"BG1": 1.0})
    rates = corrected_rates(_of(one, two), {"La-LA1": correction, "Ce-LA1": correction})
    assert rates.covariance[0, 1] == pytest.approx(40.0)


def test_known_overlap_is_taken_off_with_its_uncertainty():
    la, pr = _peak("La-LB1", "La", rate=8000.0), _peak("Pr-LA1", "Pr", rate=3000.0)
    corrections = {
        "La-LB1": LineCorrection(),
        "Pr-LA1": LineCorrection(overlaps=(KnownOverlap(line="La-LB1", ratio=0.25, ratio_uncertainty=0.01),)),
    }
    rates = corrected_rates(_of(la, pr), corrections)
    assert rates.rate[1] == pytest.approx(1000.0)
    assert rates.covariance[1, 1] == pytest.approx(3000.0 / 20.0 + 0.25**2 * 400.0 + (0.01 * 8000.0) ** 2)
    assert rates.covariance[0, 1] == pytest.approx(-0.25 * 400.0)


def test_stated_uncertainty_is_the_scatter_of_repeated_counting():
    rng = np.random.default_rng(2)
    found, variance = [], 0.0
    for _ in range(2000):
        peak, low = rng.poisson(5000.0 * 20.0) / 20.0, rng.poisson(800.0 * 10.0) / 10.0
        line = _peak(rate=peak, background=(_bg("low", low, 0.9),))
        rates = corrected_rates(_of(line), {"La-LA1": LineCorrection(dead_time_s=1e-6, background={"low": 1.0})})
        found.append(rates.rate[0])
        variance = rates.covariance[0, 0]
    assert np.std(found) == pytest.approx(np.sqrt(variance), rel=0.05)  # 2000 draws: 1.6 %


@pytest.mark.parametrize(
    ("line", "correction", "message"),
    [
        (_peak(kind=IntensityKind.NOT_STATED), LineCorrection(), "gross or net"),
        (_peak(time=None), LineCorrection(), "no counting time"),
        (_peak(), LineCorrection(background={"BG9": 1.0}), "no background position is called BG9"),
        (_peak(kind=IntensityKind.NET), LineCorrection(), "noise of a net intensity"),
        (_peak(kind=IntensityKind.NET), LineCorrection(dead_time_s=1e-7), "has been corrected already"),
    ],
)
def test_what_is_not_known_is_not_guessed(line, correction, message):
    with pytest.raises(CalibrationError, match=message):
        corrected_rates(_of(line), {"La-LA1": correction})


def test_lines_that_are_not_there_are_named():
    with pytest.raises(CalibrationError, match="no line is called 'Nb-KA1'; the file has La-LA1"):
        corrected_rates(_of(_peak()), {"Nb-KA1": LineCorrection()})
    overlap = LineCorrection(overlaps=(KnownOverlap(line="Zr-KA1", ratio=0.1, ratio_uncertainty=0.0),))
    with pytest.raises(CalibrationError, match="overlapped by Zr-KA1"):
        corrected_rates(_of(_peak()), {"La-LA1": overlap})
    with pytest.raises(DomainError, match="finite rate"):
        LineRates(
            specimen="x", lines=("a",), rate=np.array([np.nan]), covariance=np.eye(1), variance_at_zero=np.ones(1)
        )


def test_a_net_intensity_keeps_its_value():
    line = _peak(kind=IntensityKind.NET, rate=-3.0)
    rates = corrected_rates(_of(line), {"La-LA1": LineCorrection(background_rate_per_s=50.0)})
    assert rates.rate[0] == -3.0
    assert rates.covariance[0, 0] == pytest.approx(100.0 / 20.0)


def _excerpt(shared, name):
    path = shared / "spectra" / "real" / "excerpts" / name
    if not path.is_file():
        pytest.skip(f"no {path.name} among the shared spectra")
    return path


def test_a_table_of_a_real_spectrometer_becomes_rates(shared):
    """It says neither kind nor counting time: refused as it is, corrected with what the method states."""
    one = read_intensities(_excerpt(shared, "spectraplus_wdxrf_excerpt.txt"))[0]
    lines = [line for line, found in one.lines.items() if found.rate_per_s >= 0.0]
    with pytest.raises(CalibrationError, match="gross or net"):
        corrected_rates(one, {line: LineCorrection() for line in lines})
    stated = LineCorrection(kind=IntensityKind.NET, counting_time_s=20.0, background_rate_per_s=100.0)
    rates = corrected_rates(one, dict.fromkeys(lines, stated))
    assert rates.rate == pytest.approx([one.lines[line].rate_per_s for line in lines])
    assert np.diag(rates.covariance) == pytest.approx((rates.rate + 200.0) / 20.0)


def test_an_export_of_contents_is_not_taken_for_intensities(shared):
    with pytest.raises(SpectrumFileError, match="holds contents"):
        read_intensities(_excerpt(shared, "rigaku_zsx_wdxrf_excerpt.csv"))
