"""A lanthanoid spectrum that another program made, with the truth: areas within two standard uncertainties.

shared/peers/ree_spectrum.csv: fisx line strengths (ree_lines.json, every line and escape peak), Gaussian lines with
PyMca's resolution, 1e6 counts of scattered continuum, Poisson noise. Line strengths are given to the fit here: what is
tested is the fit, with the continuum that xrfree's own model expects of such a specimen under such a tube. A second fit
takes xrfree's own line strengths, which come from other cross sections, and the usual 2 % for their ratios.
ree_spectrum_primary.csv is the same without secondary excitation, drawn with the same random numbers.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrfree.areas import FitVerdict, NetAreas
from xrfree.fit import FitSettings, Light, LineCluster, Prior, Templates, fit_spectrum
from xrfree.fit.response import escape_probability
from xrfree.instrument import (
    FWHM_PER_SIGMA,
    PAIR_ENERGY_KEV,
    Absorber,
    Detector,
    InstrumentCondition,
    Response,
    Tube,
)
from xrfree.matrix.scatter import scattered_continuum, scattering
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum
from xrfree.templates import condition_model, templates

FILES = ("", "_primary")
# Lines in the range; Si, P and S lie below it, Sr to Nb and Th above.
GROUPS = (
    "K K",
    "Ca K",
    "Ti K",
    "V K",
    "Cr K",
    "Mn K",
    "Fe K",
    "Ba L",
    "La L",
    "Ce L",
    "Pr L",
    "Nd L",
    "Sm L",
)
RANGE_KEV = (2.9, 8.2)
BACKGROUND_TERMS = 8  # as in the shipped method
# PyMca states the noise as a full width and takes 3.85 eV for an electron-hole pair; starting values of ree.cfg.
RESPONSE = Response(noise_kev=0.085 / FWHM_PER_SIGMA, fano=0.114 * 0.00385 / PAIR_ENERGY_KEV["Si"], escape_scale=0.0)
NOMINAL = EnergyScale(zero_kev=-0.006, gain_kev=0.020006)
DETECTOR = Detector(crystal="Si", thickness_cm=0.05, windows=(Absorber(formula="Be", areal_density_g_cm2=0.0015),))
# Rhodium tube of 40 kV behind 0.2 mm of aluminium.
CONDITION = InstrumentCondition(
    name="40 kV",
    tube=Tube(
        anode="Rh",
        voltage_kv=40.0,
        window=(Absorber(formula="Be", areal_density_g_cm2=0.0231),),
        electron_incidence_rad=np.pi / 2,
        take_off_angle_rad=np.radians(25.0),
    ),
    filters=(Absorber(formula="Al", areal_density_g_cm2=0.054),),
    incidence_angle_rad=np.pi / 4,
    take_off_angle_rad=np.pi / 4,
    energy_zero_kev=0.0,
    energy_gain_kev=0.02,
)
NO_LIGHT = Light(energy_kev=np.zeros(0), strength=np.zeros(0))


def document(shared: Path, name: str) -> Any:
    return json.loads((shared / "peers" / name).read_text(encoding="utf-8"))


def spectrum(shared: Path, which: str) -> Spectrum:
    with (shared / "peers" / f"ree_spectrum{which}.csv").open(newline="", encoding="utf-8") as rows:
        counts = np.array([int(row["counts"]) for row in csv.DictReader(rows)])
    return Spectrum(
        counts=counts,
        live_time_s=600.0,
        real_time_s=600.0,
        energy_scale=NOMINAL,
        condition=ExcitationCondition(name="40 kV"),
    )


def continuum(composition: dict[str, float]) -> Light:
    """Scattered by a thick specimen."""
    light = scattered_continuum(
        scattering(CONDITION, DETECTOR, tuple(composition)), np.array(list(composition.values())), np.inf
    )
    return Light(energy_kev=light.energy_kev, strength=light.strength)


def given_lines(lines: dict[str, list[float]], composition: dict[str, float]) -> tuple[Templates, dict[str, float]]:
    """One cluster for each group with the given lines and escape peaks; share of the parent lines in each group."""
    names = [n for n, (energy, strength) in lines.items() if n.startswith(GROUPS) and energy > 0.3 and strength > 0.0]
    owner = np.array([GROUPS.index(" ".join(name.split()[:2])) for name in names])
    strength = np.array([lines[name][1] for name in names])
    parent = np.array(["esc" not in name for name in names])
    whole = np.bincount(owner, weights=strength)
    shares = np.bincount(owner, weights=np.where(parent, strength, 0.0)) / whole
    given = Templates(
        groups=GROUPS,
        clusters=tuple(LineCluster(group=g, name="all", leading=True) for g in GROUPS),
        cluster_group=np.arange(len(GROUPS)),
        energy_kev=np.array([lines[name][0] for name in names]),
        strength=strength,
        half_width_kev=np.zeros(len(names)),
        is_k=np.zeros(len(names), dtype=bool),
        line_cluster=owner,
        shoulder=NO_LIGHT,
        shoulder_cluster=np.zeros(0, dtype=np.int64),
        continuum=continuum(composition),
        tube=(),
    )
    return given, dict(zip(GROUPS, shares.tolist(), strict=True))


def own_lines(composition: dict[str, float]) -> Templates:
    """Lines as xrfree's own model expects them, without natural widths: the other program left them out."""
    model = condition_model(CONDITION, DETECTOR, tuple(composition))
    made = templates(model, np.array(list(composition.values())), np.inf, GROUPS)
    return replace(made, half_width_kev=np.zeros_like(made.half_width_kev), tube=())


@cache
def fitted(shared: Path, which: str) -> tuple[NetAreas, dict[str, float], dict[str, float]]:
    """Areas, their true values, and the share of each that is not escape peaks."""
    truth = document(shared, f"ree_truth{which}.json")
    given, shares = given_lines(document(shared, f"ree_lines{which}.json"), truth["composition"])
    # A floor: the filter leaves no continuum below 5 keV, where the spectrum has 8 counts per channel without lines.
    settings = FitSettings(ranges_kev=(RANGE_KEV,), background_terms=BACKGROUND_TERMS, floor=True)
    areas = fit_spectrum(spectrum(shared, which), given, response=RESPONSE, crystal="Si", settings=settings).areas
    return areas, truth["areas"], shares


@pytest.mark.parametrize("which", FILES)
def test_fit_is_good(shared: Path, which: str) -> None:
    areas, _, _ = fitted(shared, which)
    assert areas.verdict is FitVerdict.GOOD
    # 265 channels: standard deviation 0.09; three of them.
    assert areas.reduced_deviance == pytest.approx(1.0, abs=0.27)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("which", FILES)
def test_area_is_within_two_standard_uncertainties_of_the_truth(shared: Path, which: str, group: str) -> None:
    areas, truth, shares = fitted(shared, which)
    index = areas.groups.index(group)
    off = areas.area[index] * shares[group] - truth[group]
    assert abs(off) < 2.0 * areas.standard_uncertainty[index] * shares[group]


@pytest.mark.parametrize("which", FILES)
def test_areas_together_are_as_far_from_the_truth_as_their_covariance_says(shared: Path, which: str) -> None:
    areas, truth, shares = fitted(shared, which)
    off = np.array([area - truth[g] / shares[g] for g, area in zip(areas.groups, areas.area, strict=True)])
    distance = float(off @ np.linalg.solve(areas.covariance, off))
    # χ² of 13 areas: above 27.7 in one case of a hundred.
    assert distance < 27.7


def test_what_is_given_is_close_to_what_counting_allows(shared: Path) -> None:
    areas, truth, _ = fitted(shared, "")
    relative = {g: u / truth[g] for g, u in zip(areas.groups, areas.standard_uncertainty, strict=True)}
    # PHYSICS.md section 4 for 1e7 counts: La 0.5, Ce 0.3, Pr 2.1, Nd 0.7 % at 2.4, 2.5, 2.5, 2.3 times the contents
    # of this spectrum of 1.4e7 counts, which more iron shares. Twice that is allowed.
    limits = {"La L": 0.5 * 2.4, "Ce L": 0.3 * 2.5, "Pr L": 2.1 * 2.5, "Nd L": 0.7 * 2.3}
    assert all(100.0 * relative[group] < 2.0 * limit for group, limit in limits.items())


@cache
def fitted_with_own_lines(shared: Path) -> tuple[NetAreas, dict[str, float]]:
    truth = document(shared, "ree_truth.json")
    priors = {"escape": Prior(mean=0.0, sigma=0.1)}
    areas = fit_spectrum(
        spectrum(shared, ""),
        own_lines(truth["composition"]),
        response=replace(RESPONSE, escape_scale=1.0),
        crystal="Si",
        settings=FitSettings(ranges_kev=(RANGE_KEV,), priors=priors),
    ).areas
    return areas, truth["areas"]


def test_fit_with_xrfrees_own_line_strengths_is_good(shared: Path) -> None:
    areas, _ = fitted_with_own_lines(shared)
    assert areas.verdict is FitVerdict.GOOD
    assert areas.reduced_deviance == pytest.approx(1.0, abs=0.27)


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(
            g,
            marks=[pytest.mark.xfail(strict=True, reason="-3.4 standard uncertainties of 0.03 %")]
            if g == "Fe K"
            else [],
        )
        for g in GROUPS
    ],
)
def test_area_with_xrfrees_own_line_strengths_is_within_two_standard_uncertainties(shared: Path, group: str) -> None:
    areas, truth = fitted_with_own_lines(shared)
    index = areas.groups.index(group)
    assert abs(areas.area[index] - truth[group]) < 2.0 * areas.standard_uncertainty[index]


def test_escape_is_that_of_the_other_program(shared: Path) -> None:
    lines = document(shared, "ree_lines.json")
    for name in ("Mn K KL3", "Fe K KL3", "Sr K KL3", "Nb K KL3"):
        parent = lines[name]
        escaped = sum(v[1] for k, v in lines.items() if k.startswith(f"{name} Si_"))
        # Reed & Ware 1972 in both. fisx's probability vanishes towards the crystal's edge (0.89 of xrfree's for Ti Kα,
        # 0.68 for Ca Kα, nothing for P Kα), which the formula does not (test_response.py): lines above 5.8 keV only.
        assert escape_probability(np.array([parent[0]]), "Si")[0] == pytest.approx(escaped / parent[1], rel=0.06), name
