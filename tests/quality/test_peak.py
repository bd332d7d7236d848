from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from xrfree.atomic import emission_lines
from xrfree.errors import DomainError
from xrfree.quality.peak import FWHM_PER_SIGMA, k_alpha
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

FWHM_KEV = 0.145


def spectrum(
    element: str = "Fe",
    *,
    fwhm_kev: float = FWHM_KEV,
    shift_kev: float = 0.0,
    area: float = 2e5,
    background: float = 50.0,
    gain_kev: float = 0.01,
    seed: int = 1,
) -> Spectrum:
    """The K lines of one element on a sloping background."""
    scale = EnergyScale(zero_kev=0.0, gain_kev=gain_kev)
    edges = scale.edges_kev(1200)
    mean = background * np.linspace(1.2, 0.8, 1200)
    for line in emission_lines(element, "K"):
        cdf = norm.cdf(edges, line.energy_kev + shift_kev, fwhm_kev / FWHM_PER_SIGMA)
        mean = mean + area * line.line_fraction * np.diff(cdf)
    return Spectrum(
        counts=np.random.default_rng(seed).poisson(mean),
        live_time_s=100.0,
        real_time_s=110.0,
        energy_scale=scale,
        condition=ExcitationCondition(name="low"),
    )


@pytest.mark.parametrize("element", ["Mn", "Fe"])
@pytest.mark.parametrize("shift_kev", [-0.03, 0.0, 0.02])
@pytest.mark.parametrize("fwhm_kev", [0.125, 0.145, 0.22])
def test_position_and_width_are_found(element, shift_kev, fwhm_kev):
    found = k_alpha(spectrum(element, shift_kev=shift_kev, fwhm_kev=fwhm_kev), element)
    # 180 000 counts: 0.15 eV for the position and 0.3 eV for the width; the K beta line is left to the background
    # of the window where the resolution is worst.
    assert found.shift_kev == pytest.approx(shift_kev, abs=1e-3)
    assert found.fwhm_kev == pytest.approx(fwhm_kev, abs=2e-3)


def test_poor_statistics_are_unbiased():
    found = [k_alpha(spectrum(area=4000.0, seed=k), "Fe") for k in range(40)]
    shifts, widths = np.array([p.shift_kev for p in found]), np.array([p.fwhm_kev for p in found])
    for values, truth in ((shifts, 0.0), (widths, FWHM_KEV)):
        # Three parameters that trade counts over a short window: 1 % of bias at most, and four standard errors.
        assert abs(values.mean() - truth) < 0.01 * FWHM_KEV + 4 * values.std() / np.sqrt(40)


def test_an_absent_line_has_no_counts_to_speak_of():
    assert k_alpha(spectrum("Mn", area=0.0, background=20.0), "Fe").counts < 500


def test_a_spectrum_that_ends_below_the_line_is_refused():
    with pytest.raises(DomainError, match="does not hold"):
        k_alpha(spectrum(), "Nb")
