"""Intensities of line groups in several conditions, as functions of the composition.

Definition   sums of `fundamental.line_strengths` over the lines of each group.
Validation   tests/matrix/test_intensities.py: sums, derivatives, what is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import line_group_shells
from xrfree.errors import DomainError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.derivatives import strength_derivatives
from xrfree.matrix.fundamental import Excitation, excitation, line_strengths

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupIntensities:
    """Line groups that are measured, each in one condition.

    elements : of the specimen, the order of every mass-fraction vector.
    channels : (condition, line group), e.g. ("low", "La L").
    channel_element : index of each channel's element.
    models, sums : by condition; sums of shape (n_channels, n_lines) pick and add the lines of each channel.
    tertiary : whether tertiary excitation is part of the strengths.
    """

    elements: tuple[str, ...]
    channels: tuple[tuple[str, str], ...]
    channel_element: NDArray[np.int64]
    models: Mapping[str, Excitation]
    sums: Mapping[str, FloatArray]
    tertiary: bool = False

    def strengths(self, mass_fraction: FloatArray, areal_density_g_cm2: float = np.inf) -> FloatArray:
        """Photons of each channel per unit mass fraction of its element, / (s sr mA), shape (n_channels,)."""
        total = np.zeros(len(self.channels))
        for name, model in self.models.items():
            total += self.sums[name] @ self._line_totals(model, mass_fraction, areal_density_g_cm2)
        return total

    def strengths_and_derivatives(
        self, mass_fraction: FloatArray, areal_density_g_cm2: float = np.inf
    ) -> tuple[FloatArray, FloatArray]:
        """`strengths` and their derivatives by every mass fraction, shape (n_channels, n_elements).

        The derivatives take the tertiary part as a constant share of its line: it is below 2 %, and its change less.
        """
        total, change = np.zeros(len(self.channels)), np.zeros((len(self.channels), len(self.elements)))
        for name, model in self.models.items():
            found = strength_derivatives(model, mass_fraction, areal_density_g_cm2)
            lines, changes = found.strengths.total, found.total
            if self.tertiary:
                whole = self._line_totals(model, mass_fraction, areal_density_g_cm2)
                lines, changes = whole, changes * (whole / lines)[:, None]
            total += self.sums[name] @ lines
            change += self.sums[name] @ changes
        return total, change

    def _line_totals(self, model: Excitation, mass_fraction: FloatArray, areal_density_g_cm2: float) -> FloatArray:
        return line_strengths(model, mass_fraction, areal_density_g_cm2, tertiary=self.tertiary).total


def group_intensities(
    conditions: Mapping[str, InstrumentCondition],
    detector: Detector,
    elements: Sequence[str],
    channels: Sequence[tuple[str, str]],
    *,
    tertiary: bool = False,
) -> GroupIntensities:
    """Prepare the channels of specimens made of `elements`.

    Raises DomainError for an unknown condition, a channel named twice, an element that the specimen does not have, or a
    group that its tube does not excite.
    """
    _check(conditions, elements, channels)
    models, sums = {}, {}
    for name in dict.fromkeys(condition for condition, _ in channels):
        wanted = [group for condition, group in channels if condition == name]
        models[name] = excitation(conditions[name], detector, elements, emitting=wanted)
        emitted = [f"{line.element} {line.shell[0]}" for line in models[name].lines]
        dark = sorted(set(wanted) - set(emitted))
        if dark:
            raise DomainError(
                f"condition {name} does not excite {', '.join(dark)} with {conditions[name].tube.voltage_kv:g} kV; "
                "choose another line group or a higher voltage"
            )
        sums[name] = np.array([[float(channel == (name, line)) for line in emitted] for channel in channels])
    index = [list(elements).index(group.split(" ")[0]) for _, group in channels]
    return GroupIntensities(
        elements=tuple(elements),
        channels=tuple(channels),
        channel_element=np.array(index, dtype=np.int64),
        models=models,
        sums=sums,
        tertiary=tertiary,
    )


def _check(
    conditions: Mapping[str, InstrumentCondition], elements: Sequence[str], channels: Sequence[tuple[str, str]]
) -> None:
    if not channels:
        raise DomainError("no line group is named; name at least one, such as ('low', 'La L')")
    for condition, group in channels:
        if condition not in conditions:
            raise DomainError(f"there is no condition '{condition}'; there are {', '.join(conditions)}")
        element, _, series = group.partition(" ")
        line_group_shells(series)
        if element not in elements:
            raise DomainError(f"{group} is to be measured, but the specimen is made of {', '.join(elements)}")
    twice = {channel for channel in channels if list(channels).count(channel) > 1}
    if twice:
        raise DomainError(f"{', '.join(' '.join(channel) for channel in sorted(twice))} is named twice")
