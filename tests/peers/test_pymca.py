"""A steel measured at a synchrotron (NIST SRM 1155, 16 keV, silicon detector), fitted by PyMca and by xrfree.

shared/spectra/real/pymca/srm1155_steel_16keV.spe with PyMca's own configuration for it. The tube model of xrfree has no
say here: line strengths are written down from the tables, with absorption in the steel. (The configuration's dead layer
of 20 um silicon is left out by both: with it Kβ/Kα would be 15 % off what the spectrum shows.)
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.areas import NetAreas
from xrfree.atomic import XrayLine, _tables, atomic_number, emission_lines, line_group_shells
from xrfree.fit import FitSettings, Light, LineCluster, Prior, Templates, fit_spectrum
from xrfree.instrument import FWHM_PER_SIGMA, PAIR_ENERGY_KEV, Response
from xrfree.readers import read_measurement
from xrfree.readers.profile import load_profile
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

BEAM_KEV = 16.0
STEEL = {"Cr": 0.1837, "Fe": 0.654, "Ni": 0.1235, "Mo": 0.0226, "Mn": 0.01619}
AIR = {"N": 0.755, "O": 0.232, "Ar": 0.013}
GROUPS = ("V K", "Cr K", "Mn K", "Fe K", "Ni K", "Cu K", "As K", "W L", "Pb L")
RANGE_KEV = (2.9, 16.8)
PROFILE = Path(__file__).parent / "srm1155_steel.toml"
NO_LIGHT = Light(energy_kev=np.zeros(0), strength=np.zeros(0))
# PyMca states the noise as a full width and takes 3.85 eV for an electron-hole pair; values of its own fit.
GAUSSIAN = Response(
    noise_kev=0.105 / FWHM_PER_SIGMA, fano=0.136 * 0.00385 / PAIR_ENERGY_KEV["Si"], pulse_pair_time_s=1.8e-7
)


@dataclass(frozen=True)
class PymcaFit:
    """Areas by line group ("Fe K" is the sum of its parts), background per channel, and chi-square."""

    areas: Mapping[str, float]
    sigma: Mapping[str, float]
    background: FloatArray
    chi_square: float


@pytest.fixture(scope="module")
def steel(shared: Path) -> Spectrum:
    path = shared / "spectra/real/pymca/srm1155_steel_16keV.spe"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    (spectrum,) = read_measurement(path, profile=load_profile(PROFILE)).spectra.values()
    return spectrum


@pytest.fixture(scope="module")
def pymca(shared: Path, steel: Spectrum) -> PymcaFit:
    theory = pytest.importorskip(
        "PyMca5.PyMcaPhysics.xrf.ClassMcaTheory",
        reason="PyMca is the other program; pip install xrfree[peers]",
    )
    dictionary = pytest.importorskip("PyMca5.PyMcaIO.ConfigDict")
    configuration = dictionary.ConfigDict()
    configuration.read(str(shared / "spectra/real/pymca/srm1155_steel_16keV.cfg"))
    fit = theory.McaTheory()
    limits = (configuration["fit"]["xmin"], configuration["fit"]["xmax"])
    with contextlib.redirect_stdout(io.StringIO()):
        fit.setConfiguration(configuration)
        fit.setData(np.arange(steel.n_channels), steel.counts.astype(float), xmin=limits[0], xmax=limits[1])
        fit.estimate()
        _, result = fit.startfit(digest=1)
    return _collected(result, steel.n_channels, int(limits[0]))


def _collected(result: dict[str, Any], n_channels: int, first: int) -> PymcaFit:
    areas: dict[str, float] = {}
    variance: dict[str, float] = {}
    for name in result["groups"]:
        if name.startswith("Scatter"):
            continue
        element, part = name.split()
        group = f"{element} {part[0]}"
        areas[group] = areas.get(group, 0.0) + result[name]["fitarea"]
        variance[group] = variance.get(group, 0.0) + result[name]["sigmaarea"] ** 2
    background = np.zeros(n_channels)
    background[first : first + len(result["continuum"])] = result["continuum"]
    sigma = {group: float(np.sqrt(v)) for group, v in variance.items()}
    return PymcaFit(areas=areas, sigma=sigma, background=background, chi_square=result["chisq"])


def attenuation(contents: Mapping[str, float], energy: FloatArray) -> FloatArray:
    return np.asarray(sum(w * _tables.total_attenuation(atomic_number(e), energy) for e, w in contents.items()))


def seen(energy_kev: float) -> float:
    """Share of photons that leave thick steel at 45 degrees, cross 5 cm of air and stop in 0.35 mm of silicon."""
    energy = np.array([energy_kev])
    leaving = 1.0 / (attenuation(STEEL, np.array([BEAM_KEV])) + attenuation(STEEL, energy))
    through = np.exp(-0.0012048 * 5.0 * attenuation(AIR, energy))
    stopped = -np.expm1(-2.33 * 0.035 * _tables.photo_absorption(14, energy))
    return float((leaving * through * stopped)[0])


def clusters_of(group: str) -> dict[str, list[tuple[XrayLine, float]]]:
    """Lines of a group with their strengths, by cluster: Kα and Kβ, or the L subshells."""
    element, series = group.split()
    z = atomic_number(element)
    found: dict[str, list[tuple[XrayLine, float]]] = {}
    for shell in line_group_shells(series):
        made = sum(
            decays * _tables.shell_photo_absorption(z, donor, np.array([BEAM_KEV]))[0]
            for donor, decays in _tables.vacancy_transfer(z, shell).items()
        )
        for line in emission_lines(element, shell, least_fraction=1e-3) if made > 0.0 else ():
            name = shell if series == "L" else line.transition[:3]
            found.setdefault(name, []).append((line, float(made * line.line_fraction * seen(line.energy_kev))))
    return found


def by_hand(groups: tuple[str, ...]) -> Templates:
    """Templates from tabulated lines; the beam's elastic and Compton peaks as light of a tube."""
    lines: list[tuple[XrayLine, float, int]] = []
    clusters: list[LineCluster] = []
    owner: list[int] = []
    for index, group in enumerate(groups):
        own = clusters_of(group)
        total = {name: sum(s for _, s in members) for name, members in own.items()}
        for name, members in own.items():
            lines += [(line, s, len(clusters)) for line, s in members]
            clusters.append(LineCluster(group=group, name=name, leading=total[name] == max(total.values())))
            owner.append(index)
    compton = np.linspace(14.9, 16.0, 60)
    even = np.linspace(1.5, 18.0, 1651)
    return Templates(
        groups=groups,
        clusters=tuple(clusters),
        cluster_group=np.array(owner),
        energy_kev=np.array([line.energy_kev for line, _, _ in lines]),
        strength=np.array([s for _, s, _ in lines]),
        half_width_kev=np.array([0.5 * line.natural_width_kev for line, _, _ in lines]),
        is_k=np.array([line.shell == "K" for line, _, _ in lines]),
        line_cluster=np.array([c for _, _, c in lines]),
        shoulder=NO_LIGHT,
        shoulder_cluster=np.zeros(0, dtype=np.int64),
        continuum=Light(energy_kev=even, strength=np.ones(even.size)),
        tube=(
            Light(energy_kev=np.array([BEAM_KEV]), strength=np.ones(1)),
            Light(energy_kev=compton, strength=np.exp(-0.5 * ((compton - 15.51) / 0.17) ** 2)),
        ),
    )


@pytest.fixture(scope="module")
def alike(steel: Spectrum, pymca: PymcaFit) -> NetAreas:
    """xrfree told to believe what PyMca believes: Gaussian lines, fixed ratios, PyMca's stripped background."""
    lines = by_hand(GROUPS)
    settings = FitSettings(
        ranges_kev=(RANGE_KEV,),
        background_terms=1,
        ratio_sigma=0.0,
        priors={"pile_up": Prior(mean=0.0, sigma=1.0), "escape": Prior(mean=0.0, sigma=0.1)},
    )
    return fit_spectrum(
        steel,
        replace(lines, half_width_kev=np.zeros_like(lines.half_width_kev)),
        response=GAUSSIAN,
        crystal="Si",
        settings=settings,
        offset=pymca.background,
    ).areas


@pytest.mark.parametrize(
    ("group", "tolerance"),
    [
        # What is left: Poisson likelihood against weights 1/counts in a model that does not fit (chi-square 13 and
        # 17), and Kα/Kβ of Fe, which PyMca leaves free.
        ("Cr K", 0.01),
        ("Fe K", 0.01),
        ("Ni K", 0.01),
        # Mn Kα lies on Cr Kβ, twice as strong: 1 % of Cr Kβ/Kα moves it by 1.5 %.
        ("Mn K", 0.05),
    ],
)
def test_strong_groups_agree_where_both_believe_the_same(
    pymca: PymcaFit, alike: NetAreas, group: str, tolerance: float
) -> None:
    assert alike.area[alike.groups.index(group)] == pytest.approx(pymca.areas[group], rel=tolerance)


def test_stated_uncertainties_agree_where_both_believe_the_same(pymca: PymcaFit, alike: NetAreas) -> None:
    for group in ("Cr K", "Ni K"):
        # Both are those of counting, whatever the misfit; PyMca's weights are the counts, xrfree's the expectation.
        found = alike.standard_uncertainty[alike.groups.index(group)]
        assert found == pytest.approx(pymca.sigma[group], rel=0.15), group


def test_detectors_tail_and_shelf_explain_what_gaussians_do_not(steel: Spectrum, alike: NetAreas) -> None:
    sigmas = {"tail_share": 1.0, "tail_slope": 0.5, "tail_scale": 0.5, "shelf_share": 1.0, "shelf_slope": 0.5}
    sigmas |= {"escape": 0.1, "pile_up": 0.5}
    own = fit_spectrum(
        steel,
        by_hand((*GROUPS, "Co K")),
        response=replace(GAUSSIAN, tail_log_share=(-4.5, 0.0, 0.0), shelf_log_share=(-6.5, 0.0)),
        crystal="Si",
        settings=FitSettings(
            ranges_kev=((4.2, 14.0),),
            background_terms=4,
            priors={name: Prior(mean=0.0, sigma=sigma) for name, sigma in sigmas.items()},
        ),
    ).areas
    # 2.5 against 17: the steel's minor elements, and a detector of the last century, account for the rest.
    assert own.reduced_deviance < 0.25 * alike.reduced_deviance
    for group in ("Cr K", "Fe K", "Ni K"):
        # Areas include the tail, 1 to 4 % of a line, which PyMca's stripped background takes for its own.
        gained = own.area[own.groups.index(group)] / alike.area[alike.groups.index(group)] - 1.0
        assert -0.01 < gained < 0.06, group
