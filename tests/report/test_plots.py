from __future__ import annotations

import numpy as np
import pytest

from xrfree.areas import FitCurve
from xrfree.report.plots import (
    fit_figure,
    group_energy_kev,
    png,
    spectra_figure,
    standardised_residuals,
    write_png,
)
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

PNG_MARK = b"\x89PNG\r\n\x1a\n"


def _spectrum(counts) -> Spectrum:
    return Spectrum(
        counts=np.array(counts),
        live_time_s=10.0,
        real_time_s=11.0,
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.02),
        condition=ExcitationCondition(name="low $x$"),
    )


def test_fit_figure_is_the_same_picture_each_time(make_assay):
    areas = make_assay().areas[0]
    first = png(fit_figure(areas, emphasised=("La",)))
    assert first.startswith(PNG_MARK)
    assert png(fit_figure(areas, emphasised=("La",))) == first


def test_ranges_with_a_gap_are_drawn_apart(make_assay):
    upper = fit_figure(make_assay().areas[0]).axes[0]
    expected = [line for line in upper.lines if line.get_linestyle() == "-" and line.get_color() == "#d55e00"]
    assert len(expected) == 2
    assert max(line.get_xdata().max() for line in expected[:1]) < 5.6


@pytest.mark.parametrize("counts", [[0], [0, 0, 0], [5, 0, 100000, 3]])
def test_any_spectrum_can_be_drawn(tmp_path, counts):
    write_png(tmp_path / "x.png", spectra_figure([_spectrum(counts)] * 2, title="鉄鉱石 $\\frac$"))
    assert (tmp_path / "x.png").read_bytes().startswith(PNG_MARK)


def test_residuals_are_in_standard_deviations():
    ones = np.ones(3)
    curve = FitCurve(
        energy_kev=np.arange(3.0),
        counts=np.array([110.0, 100.0, 0.0]),
        expected=np.array([100.0, 100.0, 0.0]),
        background=ones,
    )
    assert standardised_residuals(curve).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(("group", "energy_kev"), [("La L", 4.651), ("Fe K", 6.404), ("Pb M", 2.345)])
def test_labels_stand_at_the_strongest_line(group, energy_kev):
    assert group_energy_kev(group) == pytest.approx(energy_kev, abs=0.005)
