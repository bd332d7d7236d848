"""Two spectra that come with PyMca, silicon detectors and one exciting energy each, fitted by PyMca and by xrfree.

Steel.spe: a steel at a synchrotron (NIST SRM 1155, 16 keV), srm1155_steel_16keV.spe in shared/spectra/real/pymca with
PyMca's own configuration for it. (The configuration's dead layer of 20 um silicon is left out by both: with it Kβ/Kα
would be 15 % off what the spectrum shows.)
XRFSpectrum.mca: some twenty elements in a thin sample at grazing incidence (17.5 keV), thin_multielement_17p5keV.mca in
the same folder, with the configuration of PyMca's own test of it.
The tube model of xrfree has no say here: line strengths come from the tables, with absorption in the sample.
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

from xrfree.areas import FitVerdict, NetAreas
from xrfree.atomic import XrayLine, _tables, atomic_number, emission_lines, line_group_shells
from xrfree.fit import FitSettings, Light, LineCluster, Prior, Templates, fit_spectrum
from xrfree.instrument import FWHM_PER_SIGMA, PAIR_ENERGY_KEV, Response
from xrfree.method import Background
from xrfree.readers import read_measurement
from xrfree.readers.profile import load_profile
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

STEEL = {"Cr": 0.1837, "Fe": 0.654, "Ni": 0.1235, "Mo": 0.0226, "Mn": 0.01619}
AIR = {"N": 0.755, "O": 0.232, "Ar": 0.013}
GROUPS = ("V K", "Cr K", "Mn K", "Fe K", "Ni K", "Cu K", "As K", "W L", "Pb L")
RANGE_KEV = (2.9, 16.8)
FOLDER = Path("spectra/real/pymca")
NO_LIGHT = Light(energy_kev=np.zeros(0), strength=np.zeros(0))
# PyMca states the noise as a full width and takes 3.85 eV for an electron-hole pair; values of its own fit.
GAUSSIAN = Response(
    noise_kev=0.105 / FWHM_PER_SIGMA, fano=0.136 * 0.00385 / PAIR_ENERGY_KEV["Si"], pulse_pair_time_s=1.8e-7
)


@dataclass(frozen=True)
class Experiment:
    """Monochromatic excitation of a thick specimen: paths over depth on the way in and out, air and window before the
    detector (g/cm2)."""

    beam_kev: float
    specimen: Mapping[str, float]
    way_in: float
    way_out: float
    air_g_cm2: float
    window_g_cm2: float
    silicon_cm: float
    compton: tuple[float, float]

    def seen(self, energy_kev: float) -> float:
        """Share of photons of one energy that leave, cross air and window, and stop in the silicon."""
        energy = np.array([energy_kev])
        stopping = self.way_in * attenuation(self.specimen, np.array([self.beam_kev]))
        leaving = 1.0 / (stopping + self.way_out * attenuation(self.specimen, energy))
        through = np.exp(-self.air_g_cm2 * attenuation(AIR, energy))
        through *= np.exp(-self.window_g_cm2 * attenuation({"Be": 1.0}, energy))
        stopped = -np.expm1(-2.33 * self.silicon_cm * _tables.photo_absorption(14, energy))
        return float((leaving * through * stopped)[0])


AT_45_DEGREES = float(np.sqrt(2.0))
SYNCHROTRON = Experiment(16.0, STEEL, AT_45_DEGREES, AT_45_DEGREES, 0.0012048 * 5.0, 0.0, 0.035, (15.51, 0.17))
# PyMca's configuration: water at 0.1 degrees to the beam, detector above it; 1.4 mm of air, 8 um of beryllium.
GRAZING = Experiment(
    17.5,
    {"H": 0.1119, "O": 0.8881},
    float(1.0 / np.sin(np.radians(0.1))),
    1.0,
    0.0012048 * 0.14,
    1.85 * 0.0008,
    0.045,
    (16.92, 0.2),
)


@dataclass(frozen=True)
class PymcaFit:
    """Areas by line group ("Fe K" is the sum of its parts), background per channel, and chi-square."""

    areas: Mapping[str, float]
    sigma: Mapping[str, float]
    background: FloatArray
    chi_square: float


def spectrum_of(shared: Path, name: str, profile: str) -> Spectrum:
    path = shared / FOLDER / name
    if not path.is_file():
        pytest.skip(f"no file {path}")
    (spectrum,) = read_measurement(path, profile=load_profile(Path(__file__).parent / profile)).spectra.values()
    return spectrum


def pymca_fit(configuration: Any, spectrum: Spectrum) -> PymcaFit:
    theory = pytest.importorskip(
        "PyMca5.PyMcaPhysics.xrf.ClassMcaTheory",
        reason="PyMca is the other program; pip install xrfree[peers]",
    )
    fit = theory.McaTheory()
    limits = (configuration["fit"]["xmin"], configuration["fit"]["xmax"])
    with contextlib.redirect_stdout(io.StringIO()):
        fit.setConfiguration(configuration)
        fit.setData(np.arange(spectrum.n_channels), spectrum.counts.astype(float), xmin=limits[0], xmax=limits[1])
        fit.estimate()
        _, result = fit.startfit(digest=1)
    return _collected(result, spectrum.n_channels, int(limits[0]))


def empty_configuration() -> Any:
    return pytest.importorskip("PyMca5.PyMcaIO.ConfigDict").ConfigDict()


@pytest.fixture(scope="module")
def steel(shared: Path) -> Spectrum:
    return spectrum_of(shared, "srm1155_steel_16keV.spe", "srm1155_steel.toml")


@pytest.fixture(scope="module")
def pymca(shared: Path, steel: Spectrum) -> PymcaFit:
    configuration = empty_configuration()
    configuration.read(str(shared / FOLDER / "srm1155_steel_16keV.cfg"))
    return pymca_fit(configuration, steel)


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


def clusters_of(group: str, experiment: Experiment) -> dict[str, list[tuple[XrayLine, float]]]:
    """Lines of a group with their strengths, by cluster: Kα and Kβ, or the L subshells."""
    element, series = group.split()
    z = atomic_number(element)
    found: dict[str, list[tuple[XrayLine, float]]] = {}
    for shell in line_group_shells(series):
        made = sum(
            decays * _tables.shell_photo_absorption(z, donor, np.array([experiment.beam_kev]))[0]
            for donor, decays in _tables.vacancy_transfer(z, shell).items()
        )
        for line in emission_lines(element, shell, least_fraction=1e-3) if made > 0.0 else ():
            name = shell if series == "L" else line.transition[:3]
            strength = float(made * line.line_fraction * experiment.seen(line.energy_kev))
            found.setdefault(name, []).append((line, strength))
    return found


def by_hand(groups: tuple[str, ...], experiment: Experiment) -> Templates:
    """Templates from tabulated lines; the beam's elastic and Compton peaks as light of a tube."""
    lines: list[tuple[XrayLine, float, int]] = []
    clusters: list[LineCluster] = []
    owner: list[int] = []
    for index, group in enumerate(groups):
        own = clusters_of(group, experiment)
        total = {name: sum(s for _, s in members) for name, members in own.items()}
        for name, members in own.items():
            lines += [(line, s, len(clusters)) for line, s in members]
            clusters.append(LineCluster(group=group, name=name, leading=total[name] == max(total.values())))
            owner.append(index)
    compton = np.linspace(experiment.beam_kev - 1.1, experiment.beam_kev, 60)
    centre, width = experiment.compton
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
            Light(energy_kev=np.array([experiment.beam_kev]), strength=np.ones(1)),
            Light(energy_kev=compton, strength=np.exp(-0.5 * ((compton - centre) / width) ** 2)),
        ),
    )


@pytest.fixture(scope="module")
def alike(steel: Spectrum, pymca: PymcaFit) -> NetAreas:
    """xrfree told to believe what PyMca believes: Gaussian lines, fixed ratios, PyMca's stripped background."""
    lines = by_hand(GROUPS, SYNCHROTRON)
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
        # Mn Kα lies on Cr Kβ, twice as strong: it agrees as long as both believe the same Kβ/Kα of Cr. Freed, that goes
        # down by 2 %, and Mn up by as much: an area of Mn is no better than the ratio it hangs on.
        ("Mn K", 0.01),
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
    sigmas = {"tail_share": 1.0, "tail_fall": 2.0, "tail_scale": 0.5, "shelf_share": 1.0}
    sigmas |= {"escape": 0.1, "pile_up": 0.5}
    own = fit_spectrum(
        steel,
        by_hand((*GROUPS, "Co K"), SYNCHROTRON),
        response=replace(GAUSSIAN, tail_log_share=-4.5, shelf_log_share=-6.5),
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


# ---- XRFSpectrum.mca

ELEMENTS = (
    "Ca K", "Ti K", "V K", "Cr K", "Mn K", "Fe K", "Co K", "Ni K", "Cu K", "Zn K", "As K", "Se K", "Sr K",
    "Cd L", "Sb L", "Tl L", "Pb L",
)  # fmt: skip
# As in PyMca's configuration, which states the noise as a full width and takes 3.85 eV for an electron-hole pair.
DRIFT_DETECTOR = Response(noise_kev=0.0782 / FWHM_PER_SIGMA, fano=0.1202 * 0.00385 / PAIR_ENERGY_KEV["Si"])


@pytest.fixture(scope="module")
def thin(shared: Path) -> Spectrum:
    return spectrum_of(shared, "thin_multielement_17p5keV.mca", "thin_multielement.toml")


@pytest.fixture(scope="module")
def pymca_thin(thin: Spectrum) -> PymcaFit:
    own_test = pytest.importorskip("PyMca5.tests.XrfTest", reason="PyMca is the other program")
    configuration = empty_configuration()
    configuration.readfp(io.StringIO(own_test.cfg))
    return pymca_fit(configuration, thin)


@pytest.fixture(scope="module")
def thin_areas(thin: Spectrum) -> NetAreas:
    """xrfree by itself: a polynomial on the scattered hill, natural widths, tabulated ratios to 5 %."""
    return fit_spectrum(
        thin,
        by_hand(ELEMENTS, GRAZING),
        response=DRIFT_DETECTOR,
        crystal="Si",
        settings=FitSettings(
            ranges_kev=((3.3, 14.6),),
            background=Background.POLYNOMIAL,
            background_terms=8,
            ratio_sigma=0.05,
            priors={"escape": Prior(mean=0.0, sigma=0.1)},
        ),
    ).areas


def test_thin_sample_is_fitted_better_than_by_the_other_program(thin_areas: NetAreas, pymca_thin: PymcaFit) -> None:
    assert thin_areas.verdict is FitVerdict.GOOD
    # 1.09 against 1.55 (2 248 channels: standard deviation 0.03).
    assert thin_areas.reduced_deviance < 1.2
    assert thin_areas.reduced_deviance < 0.8 * pymca_thin.chi_square


@pytest.mark.parametrize("group", [g for g in ELEMENTS if g not in ("Cd L", "Sb L")])
def test_strong_groups_of_the_thin_sample_agree_with_the_other_program(
    thin_areas: NetAreas, pymca_thin: PymcaFit, group: str
) -> None:
    # Backgrounds, ratios (As and Pb share the peak at 10.5 keV) and likelihoods are each program's own. Cd and Sb, a
    # twentieth of their neighbours, hang on the background near the lower end of the range.
    area = thin_areas.area[thin_areas.groups.index(group)]
    assert area == pytest.approx(pymca_thin.areas[group], rel=0.03)
