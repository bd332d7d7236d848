"""Scattered tube radiation: where it lies, that it adds up, and the limits in which a formula is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import constants

from xrfree.atomic import _tables, atomic_number, atomic_weight
from xrfree.instrument import Absorber, Detector, InstrumentCondition, Tube
from xrfree.matrix.fundamental import detector_efficiency, incident_lines
from xrfree.matrix.scatter import ScatteredLight, Scattering, scattered_continuum, scattered_lines, scattering

FloatArray = NDArray[np.float64]

ELEMENTS = ("O", "Si", "Ca", "Fe")
ORE = np.array([0.4, 0.05, 0.05, 0.5])
REST_KEV = constants.physical_constants["electron mass energy equivalent in MeV"][0] * 1e3


@pytest.fixture(scope="module")
def high() -> InstrumentCondition:
    """Rhodium tube of 50 kV behind silver, seen at 90 degrees."""
    tube = Tube(anode="Rh", voltage_kv=50.0, electron_incidence_rad=np.pi / 2, take_off_angle_rad=np.radians(25.0))
    return InstrumentCondition(
        name="high",
        tube=tube,
        filters=(Absorber(formula="Ag", areal_density_g_cm2=0.0525),),
        incidence_angle_rad=np.pi / 4,
        take_off_angle_rad=np.pi / 4,
        energy_zero_kev=0.0,
        energy_gain_kev=0.02,
    )


@pytest.fixture(scope="module")
def model(high: InstrumentCondition, detector: Detector) -> Scattering:
    return scattering(high, detector, ELEMENTS)


def everything(model: Scattering, weights: FloatArray, areal_density: float = np.inf) -> list[ScatteredLight]:
    return [
        scattered_continuum(model, weights, areal_density),
        *scattered_lines(model, weights, areal_density),
    ]


def test_right_angle_is_a_right_angle(high: InstrumentCondition) -> None:
    assert high.scattering_angle_rad == pytest.approx(np.pi / 2, abs=1e-12)


def test_one_entry_for_each_series_and_one_more_for_compton_lines_of_k(model: Scattering) -> None:
    lights = scattered_lines(model, ORE, np.inf)
    series = list(dict.fromkeys(model.tube_series))
    assert {"K-L", "K-M", "K-N", "L3-M"} <= set(series)
    assert len(lights) == len(series) + sum(name.startswith("K") for name in series)


def test_elastic_lines_keep_their_energy(high: InstrumentCondition, model: Scattering) -> None:
    elastic = scattered_lines(model, ORE, np.inf)[0]
    energies, _ = incident_lines(high)
    alpha = [e for e, name in zip(energies, model.tube_series, strict=True) if name == "K-L"]
    assert model.tube_series[0] == "K-L"
    assert np.sort(elastic.energy_kev).tolist() == sorted(alpha)


@pytest.mark.parametrize("tilt_deg", [0.0, 20.0, -20.0])
def test_compton_lines_shift_as_compton_says(high: InstrumentCondition, detector: Detector, tilt_deg: float) -> None:
    turned = replace(high, take_off_angle_rad=np.radians(45.0 + tilt_deg))
    elastic, inelastic = scattered_lines(scattering(turned, detector, ("O",)), np.ones(1), np.inf)[:2]
    mean = [float(np.average(light.energy_kev, weights=light.strength)) for light in (elastic, inelastic)]
    shifted = mean[0] / (1.0 + mean[0] * (1.0 - np.cos(turned.scattering_angle_rad)) / REST_KEV)
    # Compton 1923 for a free electron at rest. The electrons' momenta move the mean by less than a tenth of the shift
    # (0.8 keV at 90 degrees), attenuation takes more of the softer half.
    assert mean[1] == pytest.approx(shifted, abs=0.1 * (mean[0] - shifted))
    assert mean[1] < mean[0]


def test_compton_line_is_as_wide_as_the_electrons_are_fast(high: InstrumentCondition, detector: Detector) -> None:
    widths = []
    for element in ("Li", "O", "Fe"):
        compton = scattered_lines(scattering(high, detector, (element,)), np.ones(1), np.inf)[1]
        mean = np.average(compton.energy_kev, weights=compton.strength)
        widths.append(float(np.sqrt(np.average((compton.energy_kev - mean) ** 2, weights=compton.strength))))
    assert widths == sorted(widths)


@settings(max_examples=25)
@given(
    contents=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda w: sum(w) > 0.01),
    areal_density=st.floats(1e-4, 10.0),
)
def test_light_is_never_negative(model: Scattering, contents: list[float], areal_density: float) -> None:
    for light in everything(model, np.array(contents) / sum(contents), areal_density):
        assert np.isfinite(light.strength).all()
        assert np.all(light.strength >= 0.0)
        assert np.all(light.energy_kev > 0.0)
        assert light.energy_kev.shape == light.strength.shape


def test_thin_specimens_add_up_element_by_element(model: Scattering) -> None:
    mass = 1e-9
    whole = everything(model, ORE, mass)
    alone = [everything(model, np.eye(4)[i], w * mass) for i, w in enumerate(ORE)]
    for k, light in enumerate(whole):
        together = sum(part[k].strength for part in alone)
        # Self-absorption in 1e-9 g/cm² is below 1e-4 above 0.5 keV.
        hard = light.energy_kev > 0.5
        assert light.strength[hard] == pytest.approx(np.asarray(together)[hard], rel=1e-4)


def test_thick_specimen_adds_up_where_attenuation_is_the_specimens_own(model: Scattering) -> None:
    other = np.array([0.1, 0.1, 0.1, 0.7])
    for weights in (ORE, other):
        doubled = everything(model, 2.0 * weights, 5.0)
        for light, same in zip(everything(model, weights, 10.0), doubled, strict=True):
            # Twice the density and half the thickness is the same specimen.
            assert same.strength == pytest.approx(light.strength, rel=1e-12)


def test_thick_specimen_ignores_its_thickness(model: Scattering) -> None:
    for infinite, thick in zip(everything(model, ORE), everything(model, ORE, 30.0), strict=True):
        # 30 g/cm² of ore lets through less than exp(-30) at 50 keV.
        assert thick.strength == pytest.approx(infinite.strength, rel=1e-9)


def test_lighter_specimens_scatter_more(model: Scattering) -> None:
    oxygen, iron = (scattered_lines(model, w, np.inf) for w in (np.eye(4)[0], np.eye(4)[3]))
    hard = [k for k, light in enumerate(oxygen) if light.energy_kev.min() > 12.0]
    assert len(hard) == 6
    assert all(oxygen[k].strength.sum() > iron[k].strength.sum() for k in hard)


def test_light_scales_with_the_tube_lines(model: Scattering) -> None:
    brighter = replace(model, tube_rayleigh=replace(model.tube_rayleigh, strength=3.0 * model.tube_rayleigh.strength))
    once, thrice = (scattered_lines(m, ORE, np.inf)[0].strength for m in (model, brighter))
    assert thrice == pytest.approx(3.0 * once, rel=1e-12)


def test_continuum_ends_with_the_tube_voltage(model: Scattering) -> None:
    light = scattered_continuum(model, ORE, np.inf)
    # Rayleigh light ends at 50 keV; electrons that come towards the photon add a little beyond (module docstring).
    beyond = light.strength[light.energy_kev > 50.1].sum()
    assert beyond < 1e-3 * light.strength.sum()
    assert np.all(np.diff(light.energy_kev) > 0.0)


def test_continuum_keeps_all_light_when_it_is_sorted_into_a_grid(model: Scattering) -> None:
    light = scattered_continuum(model, ORE, np.inf)
    energy, strength = [], []
    sine = np.sin(np.pi / 4)
    for part in model.continuum:
        before = np.repeat(part.before_attenuation, part.share.shape[1], axis=1)
        path = (ORE @ before + ORE @ part.after_attenuation) / sine
        energy.append(part.energy_kev)
        scattered = np.einsum("e,ei,eo->io", ORE, part.strength, part.share).ravel()
        strength.append(part.efficiency / sine * scattered / path)
    every = np.concatenate(strength)
    assert light.strength.sum() == pytest.approx(every.sum(), rel=1e-9)
    mean = np.average(light.energy_kev, weights=light.strength)
    # Sharing between two neighbours keeps the mean energy; what lies below 0.3 keV is lifted to it.
    assert mean == pytest.approx(np.average(np.concatenate(energy), weights=every), rel=1e-6)


@pytest.mark.parametrize("voltage_kv", [15.0, 30.0, 50.0])
def test_continuum_without_edges_has_no_ripple(
    high: InstrumentCondition, detector: Detector, voltage_kv: float
) -> None:
    unfiltered = replace(high, tube=replace(high.tube, voltage_kv=voltage_kv), filters=())
    light = scattered_continuum(scattering(unfiltered, detector, ("O",)), np.ones(1), np.inf)
    # No edge of oxygen, silicon or rhodium lies here, and no end of the tube's or the Compton-shifted continuum.
    at = np.arange(4.5, 13.0, 0.03)
    seen = np.exp(-0.5 * ((at[:, None] - light.energy_kev) / 0.05) ** 2) @ light.strength
    # Seen with a Gaussian of 50 eV, narrower than any detector's, a power of the energy no larger than 4 bends by less
    # than 4 (0.03 / 4.5)² = 2e-4 over steps of 30 eV, and the steps between bins of 0.1 keV, the widest, add 4e-4. Bins
    # taken for points make 3e-3 (15 kV) to 6e-2 (50 kV).
    assert np.abs(np.diff(np.log(seen), n=2)).max() < 1e-3


def test_free_electrons_scatter_as_klein_and_nishina_say() -> None:
    energy_kev, angle = 60.0, np.pi / 2
    ratio = 1.0 / (1.0 + energy_kev / REST_KEV * (1.0 - np.cos(angle)))
    radius_cm = 100.0 * constants.physical_constants["classical electron radius"][0]
    per_electron = 0.5 * radius_cm**2 * ratio**2 * (ratio + 1.0 / ratio - np.sin(angle) ** 2)
    lithium = atomic_number("Li")
    expected = per_electron * 3.0 * constants.Avogadro / atomic_weight(lithium)
    found = _tables.compton_differential(lithium, np.array([energy_kev]), angle)[0]
    # Binding of lithium's electrons at 60 keV and 90 degrees (x = 3.4 / Å) takes less than 1 %.
    assert found == pytest.approx(expected, rel=0.01)


def test_thick_light_matrix_scatters_as_the_ratio_of_cross_sections(
    high: InstrumentCondition, detector: Detector
) -> None:
    model = scattering(high, detector, ("O",))
    elastic = scattered_lines(model, np.ones(1), np.inf)[0]
    energies, photons = incident_lines(high)
    alpha = np.array([name == "K-L" for name in model.tube_series])
    oxygen = atomic_number("O")
    scattered = _tables.rayleigh_differential(oxygen, energies[alpha], np.pi / 2)
    # Equal angles: N σ' / (2 μ), the sines cancel.
    expected = photons[alpha] * scattered / (2.0 * _tables.total_attenuation(oxygen, energies[alpha]))
    expected *= detector_efficiency(detector, high, energies[alpha])
    assert elastic.strength == pytest.approx(expected, rel=1e-12)
