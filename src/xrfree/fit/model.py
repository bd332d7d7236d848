"""The model of one spectrum: parameters by name, expected counts, and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from xrfree.fit.inputs import FitSettings, Light, Prior, Templates
from xrfree.fit.response import line_derivatives, spread_light, spread_lines
from xrfree.instrument import PAIR_ENERGY_KEV, Response
from xrfree.spectrum import EnergyScale, Spectrum

FloatArray = NDArray[np.float64]

RESPONSE_PARAMETERS = (
    "width_k",
    "width_l",
    "tail_share",
    "tail_slope",
    "tail_curve",
    "tail_scale",
    "tail_power",
    "shelf_share",
    "shelf_slope",
)
_STEP = 0.02
_USUAL_PRIORS = {
    "zero": Prior(mean=0.0, sigma=0.02),
    "gain": Prior(mean=0.0, sigma=0.005),
    "noise": Prior(mean=0.0, sigma=0.3),
    "fano": Prior(mean=0.0, sigma=0.1),
}
"""Priors of energy offset (keV), relative gain change, and relative changes of noise² and Fano factor."""


def moved_response(response: Response, change: Mapping[str, float]) -> Response:
    """The response after changes of its parameters.

    noise, fano, width_k, width_l : relative changes of noise², Fano factor and natural widths;
    tail_share, shelf_share, tail_scale : changes of their logarithms;
    tail_slope, tail_curve, tail_power, shelf_slope : of the exponents; escape, pile_up : relative.
    """
    tail, shelf = response.tail_log_share, response.shelf_log_share
    get = change.get
    return replace(
        response,
        noise_kev=response.noise_kev * float(np.sqrt(max(1.0 + get("noise", 0.0), 0.01))),
        fano=response.fano * max(1.0 + get("fano", 0.0), 0.05),
        width_factor_k=response.width_factor_k * max(1.0 + get("width_k", 0.0), 0.1),
        width_factor_l=response.width_factor_l * max(1.0 + get("width_l", 0.0), 0.1),
        tail_log_share=(
            tail[0] + get("tail_share", 0.0),
            tail[1] + get("tail_slope", 0.0),
            tail[2] + get("tail_curve", 0.0),
        ),
        tail_scale_power=response.tail_scale_power + get("tail_power", 0.0),
        tail_scale_kev=response.tail_scale_kev * float(np.exp(get("tail_scale", 0.0))),
        shelf_log_share=(shelf[0] + get("shelf_share", 0.0), shelf[1] + get("shelf_slope", 0.0)),
        escape_scale=response.escape_scale * max(1.0 + get("escape", 0.0), 0.0),
        pulse_pair_time_s=response.pulse_pair_time_s * max(1.0 + get("pile_up", 0.0), 0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Expected counts and derivatives of one spectrum in its fit window.

    expected : shape (n_window,); jacobian : shape (n_parameters, n_window).
    """

    expected: FloatArray
    jacobian: FloatArray


class SpectrumModel:
    """Expected counts of one spectrum as a function of named parameters.

    area:G           counts of all lines of line group G
    ratio:G:C        relative deviation of the strength of cluster C of G from the templates
    continuum:k      scattered continuum times the k-th Legendre polynomial
    tube:k           counts of the k-th series of scattered tube lines
    zero, gain       energy offset (keV), relative gain change
    noise, fano, escape, pile_up, tail_*, shelf_*    as in `moved_response`
    """

    def __init__(
        self,
        spectrum: Spectrum,
        templates: Templates,
        response: Response,
        crystal: str,
        settings: FitSettings,
        scale: EnergyScale,
        offset: FloatArray | None = None,
    ) -> None:
        self.spectrum = spectrum
        self.templates = templates
        self.response = response
        self.crystal = crystal
        self.settings = settings
        self.scale = scale
        self.priors = {**_USUAL_PRIORS, **settings.priors}
        self.free_response = tuple(name for name in RESPONSE_PARAMETERS if name in self.priors)
        centres = scale.centres_kev(spectrum.n_channels)
        self.window = np.zeros(spectrum.n_channels, dtype=bool)
        for low, high in settings.ranges_kev:
            self.window |= (centres >= low) & (centres < high)
        first, last = np.flatnonzero(self.window)[[0, -1]]
        self._span = slice(int(first), int(last) + 1)
        self.inside = self.window[self._span]
        self.counts = spectrum.counts[self.window].astype(np.float64)
        self.offset = np.zeros(spectrum.n_channels) if offset is None else offset
        self.ratios = [c for c in templates.clusters if not c.leading]
        self._strength = templates.group_strength
        self.tube = [k for k, light in enumerate(templates.tube) if self._reaches_window(light)]
        self.names = self._parameter_names()
        self.pile_up_shape = self._pile_up(None, scale.zero_kev / scale.gain_kev)

    def _parameter_names(self) -> tuple[str, ...]:
        return (
            *(f"area:{g}" for g in self.templates.groups),
            *(f"continuum:{k}" for k in range(self.settings.background_terms)),
            *(f"tube:{k}" for k in self.tube),
            *(f"ratio:{c.group}:{c.name}" for c in self.ratios),
            "zero",
            "gain",
            "noise",
            "fano",
            *(name for name in ("escape", "pile_up") if name in self.priors),
            *self.free_response,
        )

    def _reaches_window(self, light: Light) -> bool:
        """Whether a thousandth of the light falls into the fitted ranges."""
        total = float(light.strength.sum())
        inside = sum(
            float(light.strength[(light.energy_kev > low) & (light.energy_kev < high)].sum())
            for low, high in self.settings.ranges_kev
        )
        return total > 0.0 and inside > 1e-3 * total

    def prior(self, name: str) -> Prior:
        """Prior of one parameter from the settings."""
        if name in self.priors:
            return self.priors[name]
        return Prior(mean=0.0, sigma=self.settings.ratio_sigma if name.startswith("ratio:") else np.inf)

    def _pile_up(self, sharp: FloatArray | None, zero_channel: float) -> FloatArray:
        """Counts of pairs per second of pulse-pair time, shape (n_channels,).

        P_k = (1/t) Σ_{E_i + E_j = E_k} c_i m_j: measured counts with the sharp model m (the counts again while
        there is none), so that the electronic noise enters once.
        """
        counts = self.spectrum.counts.astype(np.float64)
        other = counts if sharp is None else sharp
        pairs = fftconvolve(counts, other)[: counts.size + 1]
        position = np.arange(counts.size) - zero_channel
        shape = np.interp(position, np.arange(pairs.size), pairs) / self.spectrum.live_time_s
        return np.asarray(np.maximum(shape, 0.0), dtype=np.float64)

    def edges(self, values: Mapping[str, float]) -> FloatArray:
        """Energies (keV) of the channel edges of the fitted span."""
        channel = np.arange(self._span.start, self._span.stop + 1) - 0.5
        shifted = self.scale.energy_kev(channel)
        return np.asarray(shifted + values["zero"] + values["gain"] * self.scale.gain_kev * channel)

    def evaluate(self, values: Mapping[str, float]) -> Evaluation:
        """Expected counts and their derivatives for the parameters `values`."""
        edges = self.edges(values)
        response = moved_response(self.response, values)
        spread = spread_lines(self.templates, edges, response, self.crystal)
        escape = response.escape_scale
        shapes = spread.peaks + escape * spread.escape
        area, ratio = self._areas_and_ratios(values)
        owner = self.templates.cluster_group
        amplitude = area[owner] * ratio
        columns = self._linear_columns(edges, response)
        linear_names = list(columns)
        lines = amplitude @ shapes
        smooth = np.zeros_like(lines)
        for name in linear_names:
            smooth += values[name] * columns[name]
        pile_up = response.pulse_pair_time_s * self.pile_up_shape[self._span]
        expected = lines + smooth + pile_up + self.offset[self._span]
        derivative: dict[str, FloatArray] = dict(columns)
        for index, group in enumerate(self.templates.groups):
            mine = owner == index
            derivative[f"area:{group}"] = ratio[mine] @ shapes[mine] / max(self._strength[index], 1e-300)
        for c, cluster in enumerate(self.templates.clusters):
            if not cluster.leading:
                derivative[f"ratio:{cluster.group}:{cluster.name}"] = area[owner[c]] * shapes[c]
        self._scale_derivatives(derivative, amplitude, smooth, edges, response)
        if "escape" in self.priors:
            derivative["escape"] = self.response.escape_scale * (amplitude @ spread.escape)
        if "pile_up" in self.priors:
            derivative["pile_up"] = self.response.pulse_pair_time_s * self.pile_up_shape[self._span]
        for name in self.free_response:
            derivative[name] = self._response_derivative(name, values, amplitude, edges, lines)
        jacobian = np.array([derivative[name] for name in self.names])[:, self.inside]
        return Evaluation(expected=expected[self.inside], jacobian=jacobian)

    @property
    def survival(self) -> float:
        """Share of counts that pile-up leaves in its line: exp(-rate x pulse-pair time)."""
        rate = self.spectrum.total_counts / self.spectrum.live_time_s
        return float(np.exp(-self.response.pulse_pair_time_s * rate))

    def _linear_columns(self, edges: FloatArray, response: Response) -> dict[str, FloatArray]:
        """Scattered light, one column per coefficient, in units that make the coefficients counts."""
        low, high = edges[0], edges[-1]
        light = self.templates.continuum
        position = np.clip(2.0 * (light.energy_kev - low) / (high - low) - 1.0, -1.5, 1.5)
        total = max(float(light.strength.sum()), 1e-300)
        columns = {}
        for k in range(self.settings.background_terms):
            polynomial = np.polynomial.legendre.Legendre.basis(k)(position)
            part = Light(energy_kev=light.energy_kev, strength=light.strength * polynomial / total)
            columns[f"continuum:{k}"] = spread_light(part, edges, response, self.crystal)
        for k in self.tube:
            part = self.templates.tube[k]
            unit = Light(energy_kev=part.energy_kev, strength=part.strength / max(part.strength.sum(), 1e-300))
            columns[f"tube:{k}"] = spread_light(unit, edges, response, self.crystal)
        return columns

    def _scale_derivatives(
        self,
        derivative: dict[str, FloatArray],
        amplitude: FloatArray,
        smooth: FloatArray,
        edges: FloatArray,
        response: Response,
    ) -> None:
        shift, wider, wider_energy = line_derivatives(self.templates, amplitude, edges, response, self.crystal)
        width = np.diff(edges)
        slope = np.gradient(smooth) / width
        half_curvature = 0.5 * np.gradient(slope) / width
        wider += half_curvature
        wider_energy += half_curvature * 0.5 * (edges[1:] + edges[:-1])
        rise = slope - shift
        channel = np.arange(self._span.start, self._span.stop)
        derivative["zero"] = rise
        derivative["gain"] = rise * self.scale.gain_kev * channel
        derivative["noise"] = wider * self.response.noise_kev**2
        derivative["fano"] = wider_energy * self.response.fano * PAIR_ENERGY_KEV[self.crystal]

    def _response_derivative(
        self, name: str, values: Mapping[str, float], amplitude: FloatArray, edges: FloatArray, lines: FloatArray
    ) -> FloatArray:
        """Forward difference of the lines by one response parameter (smooth and nearly linear in it)."""
        step = _STEP
        moved = moved_response(self.response, {**values, name: values[name] + step})
        spread = spread_lines(self.templates, edges, moved, self.crystal)
        return np.asarray((amplitude @ (spread.peaks + moved.escape_scale * spread.escape) - lines) / step)

    def sharpened(self, values: Mapping[str, float]) -> None:
        """Renew the pile-up shape with the fitted lines, free of electronic noise, and all else as counted."""
        response = moved_response(self.response, values)
        sharp_response = replace(response, noise_kev=0.005)
        edges = self._all_edges(values)
        amplitude = self._amplitudes(values)
        lines = amplitude @ spread_lines(self.templates, edges, sharp_response, self.crystal).peaks
        seen = amplitude @ spread_lines(self.templates, edges, response, self.crystal).peaks
        rest = np.maximum(self.spectrum.counts - seen, 0.0)
        gain = self.scale.gain_kev * (1.0 + values["gain"])
        self.pile_up_shape = self._pile_up(lines + rest, (self.scale.zero_kev + values["zero"]) / gain)

    def _areas_and_ratios(self, values: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
        """Areas over template strengths, shape (n_groups,), and cluster factors, shape (n_clusters,)."""
        area = np.array([values[f"area:{g}"] for g in self.templates.groups])
        ratio = [1.0 if c.leading else 1.0 + values[f"ratio:{c.group}:{c.name}"] for c in self.templates.clusters]
        return area / np.maximum(self._strength, 1e-300), np.array(ratio)

    def _amplitudes(self, values: Mapping[str, float]) -> FloatArray:
        area, ratio = self._areas_and_ratios(values)
        return np.asarray(area[self.templates.cluster_group] * ratio)

    def lines_everywhere(self, values: Mapping[str, float]) -> FloatArray:
        """Expected counts of every line group with its escape peaks, shape (n_groups, n_channels)."""
        response = moved_response(self.response, values)
        spread = spread_lines(self.templates, self._all_edges(values), response, self.crystal)
        clusters = self._amplitudes(values)[:, None] * (spread.peaks + response.escape_scale * spread.escape)
        groups = np.zeros((len(self.templates.groups), self.spectrum.n_channels))
        np.add.at(groups, self.templates.cluster_group, clusters)
        return groups

    def _all_edges(self, values: Mapping[str, float]) -> FloatArray:
        channel = np.arange(self.spectrum.n_channels + 1) - 0.5
        edges = self.scale.energy_kev(channel) + values["zero"] + values["gain"] * self.scale.gain_kev * channel
        return np.asarray(edges)
