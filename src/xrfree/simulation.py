"""Spectra of specimens of known composition, made by the same model that the fits use.

Definition   templates of `xrfree.templates`, detector response of `xrfree.fit.response`, pile-up as
             `xrfree.fit.pile_up` has it, Poisson noise.
Validation   tests/test_simulation.py: time, seed, pile-up; `quantify` finds the composition again. That shows
             that the parts agree with one another, not that they agree with nature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.composition import Composition
from xrfree.errors import DomainError
from xrfree.fit import Templates
from xrfree.fit.pile_up import piled_up
from xrfree.fit.response import spread_light, spread_lines, with_escape
from xrfree.instrument import Absorber, Instrument, InstrumentCondition, Response
from xrfree.method import split_group
from xrfree.specimen import Specimen
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum
from xrfree.templates import ConditionModel, condition_model, templates

FloatArray = NDArray[np.float64]

WHOLE_TOLERANCE = 1e-3
_SHARP_NOISE_KEV = 0.005


def simulate(
    contents: Mapping[str, float] | Composition,
    specimen: Specimen,
    instrument: Instrument,
    condition: str,
    *,
    live_time_s: float,
    seed: int,
    groups: Sequence[str] | None = None,
    n_channels: int = 2048,
) -> Spectrum:
    """A spectrum as the instrument would record it, counting noise included.

    It comes from the model that fits and matrix correction use: that they find its composition again proves
    that they are consistent, and nothing else.

    n_k ~ Poisson(m_k), m of `expected_counts`

    contents : kg/kg by element or formula. seed : of the random numbers; the same seed gives the same spectrum.
    The other parameters are those of `expected_counts`.
    """
    expected = expected_counts(
        contents,
        specimen,
        instrument,
        condition,
        live_time_s=live_time_s,
        groups=groups,
        n_channels=n_channels,
    )
    stated = instrument.conditions[condition]
    return Spectrum(
        counts=np.random.default_rng(seed).poisson(expected),
        live_time_s=live_time_s,
        real_time_s=live_time_s,
        energy_scale=_energy_scale(stated),
        condition=_stated_condition(stated),
        metadata={"origin": f"simulated, seed {seed}"},
    )


def at_rate(
    instrument: Instrument,
    contents: Mapping[str, float] | Composition,
    specimen: Specimen,
    condition: str,
    counts_per_s: float,
    *,
    n_channels: int = 2048,
) -> Instrument:
    """The instrument with the tube current at which a specimen gives so many counts per second in all channels.

    contents : kg/kg by element or formula.

    Raises DomainError for a rate that is not above 0.
    """
    if not (np.isfinite(counts_per_s) and counts_per_s > 0.0):
        raise DomainError(f"count rate is {counts_per_s}/s, expected a number above 0")
    rate = float(expected_parts(contents, specimen, instrument, condition, n_channels=n_channels).total.sum())
    change = float(np.log(counts_per_s / rate))
    scales = {condition: 0.0, **instrument.log_scale}
    mine = {key: value + change for key, value in scales.items() if key.partition("/")[0] == condition}
    return replace(instrument, log_scale={**scales, **mine})


def expected_counts(
    contents: Mapping[str, float] | Composition,
    specimen: Specimen,
    instrument: Instrument,
    condition: str,
    *,
    live_time_s: float,
    groups: Sequence[str] | None = None,
    n_channels: int = 2048,
) -> FloatArray:
    """Mean counts per channel, shape (n_channels,).

    m = s * exp((τ/t) (s' - t R)),  see `fit.pile_up`
    s = t Σ_g k_g w_g (peaks and escape peaks of line group g) + t k (scattered radiation of the tube)

    R rate of all channels, τ pulse-pair time, s' the same spectrum without electronic noise (which enters a
    sum of two pulses once), k sensitivities from the instrument's scales, w mass fractions.

    contents : formulas and their mass fractions, or a composition, of the whole specimen: bead, not ore.
    groups : line groups ("La L") that show; None for all that the tube excites.

    Raises DomainError for contents that do not sum to 1, and for a condition the instrument does not have.
    """
    parts = expected_parts(contents, specimen, instrument, condition, groups=groups, n_channels=n_channels)
    scale = _energy_scale(instrument.conditions[condition])
    pairs_per_count = instrument.responses[condition].pulse_pair_time_s / live_time_s
    zero_channel = scale.zero_kev / scale.gain_kev
    return piled_up(live_time_s * parts.total, live_time_s * parts.sharp, pairs_per_count, zero_channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedParts:
    """What a spectrum is made of, counts per second and channel, before pile-up.

    groups : line groups; lines : their peaks with escape peaks and shoulders, shape (n_groups, n_channels).
    escape : escape peaks of all lines, which are part of `lines`, shape (n_channels,).
    scattered : continuum of the tube, then each series of its lines, shape (n_parts, n_channels).
    sharp : the sum without electronic noise, shape (n_channels,).
    energy_kev : centres of the channels.
    """

    groups: tuple[str, ...]
    lines: FloatArray
    escape: FloatArray
    scattered: FloatArray
    sharp: FloatArray
    energy_kev: FloatArray

    @property
    def total(self) -> FloatArray:
        """The sum of all parts, shape (n_channels,)."""
        return np.asarray(np.maximum(self.lines.sum(axis=0) + self.scattered.sum(axis=0), 0.0))

    def pile_up(self, pulse_pair_time_s: float, scale: EnergyScale) -> FloatArray:
        """What pile-up adds to each channel per second (below 0 where it takes more away), shape (n_channels,)."""
        return piled_up(self.total, self.sharp, pulse_pair_time_s, scale.zero_kev / scale.gain_kev) - self.total


def expected_parts(
    contents: Mapping[str, float] | Composition,
    specimen: Specimen,
    instrument: Instrument,
    condition: str,
    *,
    groups: Sequence[str] | None = None,
    n_channels: int = 2048,
) -> ExpectedParts:
    """Lines and scattered light apart; contents in kg/kg, and parameters and errors are those of `expected_counts`."""
    if condition not in instrument.conditions:
        known = ", ".join(instrument.conditions)
        raise DomainError(f"instrument {instrument.name} has no condition '{condition}'; it has {known}")
    whole = _whole(contents)
    model = condition_model(instrument.conditions[condition], instrument.detector, whole.elements)
    shown = _all_groups(model) if groups is None else groups
    expected = templates(model, whole.mass_fraction, specimen.areal_density_g_cm2, shown)
    response = instrument.responses[condition]
    edges = _energy_scale(instrument.conditions[condition]).edges_kev(n_channels)
    lines, escape, scattered = _rates(expected, whole, instrument, condition, response, edges)
    sharp_response = replace(response, noise_kev=_SHARP_NOISE_KEV)
    sharp_lines, _, sharp_scattered = _rates(expected, whole, instrument, condition, sharp_response, edges)
    return ExpectedParts(
        groups=expected.groups,
        lines=lines,
        escape=escape,
        scattered=scattered,
        sharp=np.maximum(sharp_lines.sum(axis=0) + sharp_scattered.sum(axis=0), 0.0),
        energy_kev=0.5 * (edges[1:] + edges[:-1]),
    )


def _whole(contents: Mapping[str, float] | Composition) -> Composition:
    whole = contents if isinstance(contents, Composition) else Composition.of(contents)
    if abs(whole.total - 1.0) > WHOLE_TOLERANCE or np.any(whole.mass_fraction < 0.0):
        raise DomainError(
            "mass fractions of a whole specimen sum to 1 and none is below 0; these sum to "
            f"{whole.total:.4f}. Name its oxides, and what ignition or a flux adds"
        )
    return whole.normalised()


def _all_groups(model: ConditionModel) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{line.element} {line.shell[0]}" for line in model.excitation.lines))


def _energy_scale(condition: InstrumentCondition) -> EnergyScale:
    return EnergyScale(zero_kev=condition.energy_zero_kev, gain_kev=condition.energy_gain_kev)


def _stated_condition(condition: InstrumentCondition) -> ExcitationCondition:
    return ExcitationCondition(
        name=condition.name,
        anode=condition.tube.anode,
        tube_voltage_kv=condition.tube.voltage_kv,
        filter=" + ".join(map(_layer_text, condition.filters)) or "none",
    )


def _layer_text(layer: Absorber) -> str:
    return f"{layer.formula} {layer.areal_density_g_cm2:.4g} g/cm2"


def _rates(
    expected: Templates,
    whole: Composition,
    instrument: Instrument,
    condition: str,
    response: Response,
    edges_kev: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts per second and channel without pile-up: line groups, all their escape peaks, parts of scattered light."""
    crystal = instrument.detector.crystal
    spread = spread_lines(expected, edges_kev, response, crystal)
    amplitude = _amplitudes(expected, whole, instrument, condition)
    escape = response.escape_scale * amplitude[:, None] * spread.escape
    lines = np.zeros((len(expected.groups), edges_kev.size - 1))
    np.add.at(lines, expected.cluster_group, amplitude[:, None] * spread.peaks + escape)
    common = np.exp(instrument.log_scale.get(condition, 0.0))
    scattered = [
        common * spread_light(with_escape(light, crystal), edges_kev, response, crystal)
        for light in (expected.continuum, *expected.tube)
    ]
    return lines, escape.sum(axis=0), np.array(scattered)


def _amplitudes(expected: Templates, whole: Composition, instrument: Instrument, condition: str) -> FloatArray:
    """Factor of each line cluster's strength, shape (n_clusters,): k w (1 + deviation of its line ratio)."""
    ratios = instrument.line_ratios
    deviation = dict(zip(ratios.clusters, ratios.deviation.tolist(), strict=True))
    common = instrument.log_scale.get(condition, 0.0)
    factors = []
    for cluster in expected.clusters:
        log_scale = instrument.log_scale.get(f"{condition}/{cluster.group}", common)
        ratio = 1.0 if cluster.leading else 1.0 + deviation.get((cluster.group, cluster.name), 0.0)
        factors.append(np.exp(log_scale) * whole[split_group(cluster.group)[0]] * ratio)
    return np.array(factors)
