"""The interactive fit is the fit: same estimates and covariance, from elsewhere, and with ties and bounds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest

from xrfree.areas import NetAreas
from xrfree.errors import DomainError, FitError
from xrfree.fit import (
    FitSettings,
    InteractiveFit,
    JointPrior,
    Prior,
    Templates,
    fit_spectrum,
    interactive_fit,
)
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum

TAIL = {"tail_share": Prior(mean=0.0, sigma=0.5), "shelf_share": Prior(mean=0.0, sigma=0.5)}
SAME = 1e-3
"""Of a standard uncertainty: kernel fits end when a step is below 2e-3 of one, and the next is far smaller."""


class Band(Protocol):
    groups: tuple[str, ...]
    templates: Templates
    response: Response
    settings: FitSettings

    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...
    def drawn(self, seed: int, *, factor: float = 1.0, live_time_s: float = 100.0) -> Spectrum: ...


def both(
    band: Band, settings: FitSettings, response: Response, prior: JointPrior | None = None
) -> tuple[InteractiveFit, NetAreas]:
    common = {"response": response, "crystal": "Si", "settings": settings, "priors": [] if prior is None else [prior]}
    spectrum = band.drawn(5)
    return (
        interactive_fit(spectrum, band.templates, **common),
        fit_spectrum(spectrum, band.templates, **common).areas,
    )


CASES = {
    "plain": {},
    "tail and shelf": {"priors": TAIL},
    "escape and pile-up": {"priors": {"escape": Prior(mean=0.0, sigma=0.1), "pile_up": Prior(mean=0.0, sigma=0.5)}},
    "non-negative": {"non_negative": True},
    "polynomial": {"background": "polynomial", "background_terms": 3},
    "tied": {"ratios": {"Ce L2": "free", "Nd L2": "Ce L2"}},
}


@pytest.mark.parametrize("case", CASES)
def test_same_answer_as_the_kernel_from_another_start(band: Band, case: str) -> None:
    from xrfree.method import Background

    changes = dict(CASES[case])
    if "background" in changes:
        changes["background"] = Background(changes["background"])
    response = replace(band.response, pulse_pair_time_s=2e-6)
    fit, areas = both(band, replace(band.settings, **changes), response)
    for label, parameter in fit.parameters.items():
        if label.startswith("area"):
            parameter.value *= 1.1
    fit.parameters["zero"].value += 0.003
    fit.parameters["fano"].value += 0.05
    found = fit.fit()
    off = (found.area - areas.area) / areas.standard_uncertainty
    assert np.abs(off).max() < SAME
    assert found.covariance == pytest.approx(areas.covariance, rel=1e-3, abs=1e-3 * np.diag(areas.covariance).min())
    # Priors keep the deviance off its own minimum: a thousandth of a standard uncertainty moves it by some 1e-3 of 300.
    assert found.reduced_deviance == pytest.approx(areas.reduced_deviance, rel=1e-5)
    for name, (value, u) in areas.parameters.items():
        assert abs(found.values[name] - value) <= 2.0 * SAME * u, name


def test_joint_prior_of_line_ratios_is_the_same(band: Band) -> None:
    names = ("ratio:La L:L2", "ratio:Ce L:L2")
    covariance = np.array([[4e-4, 3e-4], [3e-4, 4e-4]])
    prior = JointPrior(names=names, mean=np.array([0.03, -0.02]), covariance=covariance)
    fit, areas = both(band, band.settings, band.response, prior)
    fit.parameters["area_Ce_L"].value *= 0.9
    found = fit.fit()
    for name in names:
        value, u = areas.parameters[name]
        assert abs(found.values[name] - value) < 2.0 * SAME * u


def test_standard_uncertainties_lmfit_reports_are_those_of_the_covariance(band: Band) -> None:
    fit, areas = both(band, band.settings, band.response)
    found = fit.fit()
    stated = [found.lmfit.params[f"area_{g.replace(' ', '_')}"].stderr for g in found.groups]
    assert stated == pytest.approx(areas.standard_uncertainty.tolist(), rel=1e-3)
    report = found.report()
    assert "Poisson deviance" in report
    assert "area_La_L" in report
    assert "fixed" in report


def test_every_term_of_the_response_can_be_freed_by_name(band: Band) -> None:
    fit = interactive_fit(
        band.drawn(5, factor=20.0), band.templates, response=band.response, crystal="Si", settings=band.settings
    )
    fixed = [label for label, p in fit.parameters.items() if not p.vary]
    assert {"escape", "pile_up", "width_k", "tail_share", "tail_scale", "shelf_share"} <= set(fixed)
    fit.free("tail_share")
    found = fit.fit()
    # 20 times the counts of the other tests. Nature has the tail of the response: no change, within its uncertainty.
    parameter = found.lmfit.params["tail_share"]
    assert 0.0 < parameter.stderr < 1.0
    assert abs(parameter.value) < 4.0 * parameter.stderr
    fit.fix("tail_share", 0.0)
    assert fit.fit().values["tail_share"] == 0.0


def test_what_runs_away_is_named(band: Band) -> None:
    # 1 % of tail in 6e5 counts: this draw has less than none, and the logarithm of the share has no end.
    fit = interactive_fit(band.drawn(3), band.templates, response=band.response, crystal="Si", settings=band.settings)
    fit.free("tail_share")
    with pytest.raises(FitError, match=r"the data do not determine tail_share = -.*; fix or bound it"):
        fit.fit()


def test_tied_by_an_expression_is_tied_by_the_method(band: Band) -> None:
    # Both free, so that the tied one has no prior of its own.
    fit, _ = both(band, replace(band.settings, ratios={"Ce L2": "free", "Nd L2": "free"}), band.response)
    fit.tie("ratio_Nd_L_L2", "ratio_Ce_L_L2")
    tied = fit.fit()
    _, areas = both(band, replace(band.settings, ratios={"Ce L2": "free", "Nd L2": "Ce L2"}), band.response)
    assert tied.values["ratio:Nd L:L2"] == pytest.approx(tied.values["ratio:Ce L:L2"], rel=1e-12)
    # The prior of 100 % that freed ratios have counts twice here: nothing beside an uncertainty of 3 %.
    assert np.abs((tied.area - areas.area) / areas.standard_uncertainty).max() < 0.01
    assert tied.covariance == pytest.approx(areas.covariance, rel=0.01, abs=0.01 * np.diag(areas.covariance).min())


def test_area_tied_to_another_follows_it(band: Band) -> None:
    fit, _ = both(band, band.settings, band.response)
    fit.tie("area_Pr_L", "0.11 * area_Ce_L")
    found = fit.fit()
    ce, pr = found.groups.index("Ce L"), found.groups.index("Pr L")
    assert found.area[pr] == pytest.approx(0.11 * found.area[ce], rel=1e-9)
    assert found.covariance[pr, ce] == pytest.approx(0.11 * found.covariance[ce, ce], rel=1e-6)


def test_bounds_hold(band: Band) -> None:
    fit, areas = both(band, band.settings, band.response)
    highest = 0.97 * areas.area[0]
    fit.parameters["area_La_L"].set(value=0.9 * highest, max=highest)
    found = fit.fit()
    # The search stays inside its bounds by a hair.
    assert found.area[0] == pytest.approx(highest, rel=1e-4)
    assert found.area[0] <= highest
    assert found.reduced_deviance > areas.reduced_deviance


def test_unknown_names_are_answered_with_the_known_ones(band: Band) -> None:
    fit, _ = both(band, band.settings, band.response)
    with pytest.raises(DomainError, match=r"there is no parameter 'area_Xx'; there are area_La_L, area_Ce_L"):
        fit.free("area_Xx")


def test_lmfit_is_imported_when_it_is_needed() -> None:
    code = "import sys, xrfree.fit; sys.exit('lmfit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
