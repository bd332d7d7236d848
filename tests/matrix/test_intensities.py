"""Intensities of line groups: sums over lines and conditions, derivatives, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.fundamental import excitation, line_strengths
from xrfree.matrix.intensities import GroupIntensities, group_intensities

ELEMENTS = ("Fe", "La", "Nb", "O")
ORE = np.array([0.5, 0.02, 0.01, 0.47])
CHANNELS = (("low", "La L"), ("high", "Nb K"), ("low", "Fe K"))


@pytest.fixture(scope="module")
def conditions(condition: InstrumentCondition) -> dict[str, InstrumentCondition]:
    return {"low": condition, "high": replace(condition, tube=replace(condition.tube, voltage_kv=40.0))}


@pytest.fixture(scope="module")
def intensities(conditions: dict[str, InstrumentCondition], detector: Detector) -> GroupIntensities:
    return group_intensities(conditions, detector, ELEMENTS, CHANNELS)


def test_channels_are_sums_over_their_lines(
    intensities: GroupIntensities, conditions: dict[str, InstrumentCondition], detector: Detector
) -> None:
    found = intensities.strengths(ORE, 0.5)
    for (name, group), strength in zip(CHANNELS, found, strict=True):
        model = excitation(conditions[name], detector, ELEMENTS)
        total = line_strengths(model, ORE, 0.5).total
        mine = [f"{line.element} {line.shell[0]}" == group for line in model.lines]
        # The order of sums.
        assert strength == pytest.approx(total[mine].sum(), rel=1e-10)


def test_derivatives_are_those_of_differences(intensities: GroupIntensities) -> None:
    value, change = intensities.strengths_and_derivatives(ORE)
    assert value == pytest.approx(intensities.strengths(ORE), rel=1e-12)
    for k in range(len(ELEMENTS)):
        step = 1e-5 * np.eye(len(ELEMENTS))[k]
        difference = intensities.strengths(ORE + step) - intensities.strengths(ORE - step)
        # Central differences: 1e-5 squared over contents of 0.01.
        assert change[:, k] == pytest.approx(difference / 2e-5, rel=1e-5, abs=1e-5 * float(value.max()))


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ((), "no line group is named"),
        ((("mid", "La L"),), "no condition 'mid'; there are low, high"),
        ((("low", "La"),), "'' is not a series"),
        ((("low", "Ce L"),), "Ce L is to be measured, but the specimen is made of"),
        ((("low", "Nb K"), ("low", "Fe K")), "condition low does not excite Nb K with 15 kV"),
        ((("low", "La L"), ("low", "La L")), "low La L is named twice"),
    ],
)
def test_impossible_channels_are_refused(
    conditions: dict[str, InstrumentCondition],
    detector: Detector,
    channels: tuple[tuple[str, str], ...],
    message: str,
) -> None:
    with pytest.raises(DomainError, match=message):
        group_intensities(conditions, detector, ELEMENTS, channels)
