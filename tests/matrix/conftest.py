"""A spectrometer without windows and filters, so that tests can write down what it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.instrument import Absorber, Detector, InstrumentCondition, Tube
from xrfree.matrix import fundamental
from xrfree.matrix.fundamental import Excitation, excitation

FloatArray = NDArray[np.float64]
OneEnergy = Callable[[Sequence[str], float], Excitation]


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector(crystal="Si", thickness_cm=0.05)


@pytest.fixture(scope="session")
def condition() -> InstrumentCondition:
    """Rhodium tube of 15 kV, beryllium window; unequal angles, so that they cannot be mixed up unseen."""
    tube = Tube(
        anode="Rh",
        voltage_kv=15.0,
        window=(Absorber(formula="Be", areal_density_g_cm2=0.0231),),
        electron_incidence_rad=np.pi / 2,
        take_off_angle_rad=np.radians(25.0),
    )
    return InstrumentCondition(
        name="low",
        tube=tube,
        incidence_angle_rad=np.radians(60.0),
        take_off_angle_rad=np.radians(40.0),
        energy_zero_kev=0.0,
        energy_gain_kev=0.01,
    )


@pytest.fixture
def one_energy(condition: InstrumentCondition, detector: Detector, monkeypatch: pytest.MonkeyPatch) -> OneEnergy:
    """A model excited by one photon energy with one photon / (s sr mA), in equal angles of 45 degrees."""

    def build(elements: Sequence[str], energy_kev: float) -> Excitation:
        def incident(*_: object) -> tuple[FloatArray, FloatArray]:
            return np.array([energy_kev]), np.array([1.0])

        symmetric = replace(
            condition,
            tube=replace(condition.tube, voltage_kv=40.0),
            incidence_angle_rad=np.pi / 4,
            take_off_angle_rad=np.pi / 4,
        )
        monkeypatch.setattr(fundamental, "_incident_photons", incident)
        return excitation(symmetric, detector, elements)

    return build
