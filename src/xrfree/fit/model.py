"""The model of one spectrum: parameters by name, expected counts, and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import FitError
from xrfree.fit.background import clipped, even_light, refuse_clipping
from xrfree.fit.inputs import FitSettings, Light, Prior, Templates
from xrfree.fit.pile_up import pile_up_in
from xrfree.fit.ratios import RatioPlan, ratio_plan
from xrfree.fit.response import Photons, photons, spread_and_derivatives, summed
from xrfree.instrument import PAIR_ENERGY_KEV, Response
from xrfree.kernels.lineshape import DERIVATIVES
from xrfree.method import Background
from xrfree.spectrum import EnergyScale, Spectrum

FloatArray = NDArray[np.float64]

RESPONSE_PARAMETERS = (
    "width_k",
    "width_l",
    "tail_share",
    "tail_fall",
    "tail_rest",
    "tail_scale",
    "tail_growth",
    "shelf_share",
)
_USUAL_PRIORS = {
    "zero": Prior(mean=0.0, sigma=0.02),
    "gain": Prior(mean=0.0, sigma=0.005),
    "noise": Prior(mean=0.0, sigma=0.3),
    "fano": Prior(mean=0.0, sigma=0.1),
}
"""Priors of energy offset (keV), relative gain change, and relative changes of noise² and Fano factor."""
_FREED_RATIO_SIGMA = 1.0
"""Prior of a line ratio that a method frees: it decides only where the group is absent, and the ratio means nothing."""
LOWER_BOUNDS = {"noise": -0.98, "fano": -0.9, "width_k": -0.9, "width_l": -0.9, "escape": -1.0, "pile_up": -1.0}
"""Where a response stops being one: relative changes that leave a fiftieth of noise², a tenth of widths, and nothing
of escape and pile-up."""


def moved_response(response: Response, change: Mapping[str, float]) -> Response:
    """The response after changes of its parameters.

    noise, fano, width_k, width_l : relative changes of noise², Fano factor and natural widths;
    tail_share, shelf_share, tail_scale : changes of their logarithms;
    tail_fall, tail_rest, tail_growth : of the response's numbers of these names; escape, pile_up : relative.
    """
    get = change.get
    return replace(
        response,
        noise_kev=response.noise_kev * float(np.sqrt(_grown("noise", change))),
        fano=response.fano * _grown("fano", change),
        width_factor_k=response.width_factor_k * _grown("width_k", change),
        width_factor_l=response.width_factor_l * _grown("width_l", change),
        tail_log_share=response.tail_log_share + get("tail_share", 0.0),
        tail_fall=response.tail_fall + get("tail_fall", 0.0),
        tail_rest=response.tail_rest + get("tail_rest", 0.0),
        tail_growth=response.tail_growth + get("tail_growth", 0.0),
        tail_scale_kev=response.tail_scale_kev * float(np.exp(get("tail_scale", 0.0))),
        shelf_log_share=response.shelf_log_share + get("shelf_share", 0.0),
        escape_scale=response.escape_scale * _grown("escape", change),
        pulse_pair_time_s=response.pulse_pair_time_s * _grown("pile_up", change),
    )


def _grown(name: str, change: Mapping[str, float]) -> float:
    return 1.0 + max(change.get(name, 0.0), LOWER_BOUNDS[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Expected counts and derivatives of one spectrum in its fit window.

    expected : shape (n_window,); lines : the lines' part of it; jacobian : shape (n_parameters, n_window).
    """

    expected: FloatArray
    lines: FloatArray
    jacobian: FloatArray


class SpectrumModel:
    """Expected counts of one spectrum as a function of named parameters.

    area:G           counts of all lines of line group G
    ratio:G:C        relative deviation of the strength of cluster C of G from the templates, and of clusters tied to it
    ratio:G:shift    move of the leading lines of G in tenths of an eV (`xrfree.templates.movable`)
    continuum:k      scattered continuum (or 1, for a polynomial background) times the k-th Legendre polynomial
    continuum:floor  counts of an even floor
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
        if not self.window.any():
            raise FitError(
                f"no channel in the fitted range {_ranges_text(settings)}: the spectrum covers {centres[0]:.2f} to "
                f"{centres[-1]:.2f} keV. Measure a wider range, or correct the method"
            )
        first, last = np.flatnonzero(self.window)[[0, -1]]
        self.span = slice(int(first), int(last) + 1)
        self.inside = self.window[self.span]
        self.counts = spectrum.counts[self.window].astype(np.float64)
        self.offset = np.zeros(spectrum.n_channels) if offset is None else offset
        self.n_background = settings.background_terms
        if settings.background is Background.SNIP:
            refuse_clipping(templates, settings.ranges_kev, response, crystal)
            self.n_background = 0
        self.plan = ratio_plan(templates, settings.ratios)
        self.ratios = [c for c, name in zip(templates.clusters, self.plan.parameter, strict=True) if name is not None]
        self._ratio_rows = _rows_of(self.plan)
        self._ratio_sigma = {
            name: settings.ratio_sigma if cluster.sigma is None else cluster.sigma
            for cluster, name in zip(templates.clusters, self.plan.parameter, strict=True)
            if name is not None
        }
        self._strength = templates.group_strength
        self.tube = [k for k, light in enumerate(templates.tube) if self._reaches_window(light)]
        self.names = self._parameter_names()
        self.photons = self._listed()
        self.renew_pile_up({})
        if settings.background is Background.SNIP:
            rest = spectrum.counts - self.offset - response.pulse_pair_time_s * self.pile_up_shape
            self.offset = self.offset + clipped(rest, response.sigma_kev(centres, crystal) / scale.gain_kev)

    def _parameter_names(self) -> tuple[str, ...]:
        return (
            *(f"area:{g}" for g in self.templates.groups),
            *self.light_names,
            *self.plan.names,
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
        if not name.startswith("ratio:"):
            return Prior(mean=0.0, sigma=np.inf)
        sigma = _FREED_RATIO_SIGMA if name in self.plan.free else self._ratio_sigma[name]
        return Prior(mean=0.0, sigma=0.0 if name in self.plan.fixed else sigma)

    def lower_bound(self, name: str) -> float:
        """Lowest value a parameter may take."""
        if name.startswith("area:") and self.settings.non_negative:
            return 0.0
        return LOWER_BOUNDS.get(name, -np.inf)

    def edges(self, values: Mapping[str, float]) -> FloatArray:
        """Energies (keV) of the channel edges of the fitted span."""
        channel = np.arange(self.span.start, self.span.stop + 1) - 0.5
        shifted = self.scale.energy_kev(channel)
        return np.asarray(shifted + values["zero"] + values["gain"] * self.scale.gain_kev * channel)

    def _listed(self) -> Photons:
        """Lines and scattered light; columns of light in units that make their coefficients counts."""
        nominal = self.scale.edges_kev(self.spectrum.n_channels)[[self.span.start, self.span.stop]]
        even = even_light(nominal[0], nominal[1], self.response, self.crystal)
        light = even if self.settings.background is Background.POLYNOMIAL else self.templates.continuum
        position = np.clip(2.0 * (light.energy_kev - nominal[0]) / (nominal[1] - nominal[0]) - 1.0, -1.5, 1.5)
        total = max(float(light.strength.sum()), 1e-300)
        columns = [
            Light(
                energy_kev=light.energy_kev,
                strength=light.strength * np.polynomial.legendre.Legendre.basis(k)(position) / total,
            )
            for k in range(self.n_background)
        ]
        if self.settings.floor:
            columns.append(Light(energy_kev=even.energy_kev, strength=even.strength / even.strength.sum()))
        for k in self.tube:
            part = self.templates.tube[k]
            columns.append(Light(energy_kev=part.energy_kev, strength=part.strength / max(part.strength.sum(), 1e-300)))
        return photons(self.templates, self.crystal, columns)

    @property
    def light_names(self) -> tuple[str, ...]:
        """Parameters that scale the columns of scattered light."""
        return (
            *(f"continuum:{k}" for k in range(self.n_background)),
            *(("continuum:floor",) if self.settings.floor else ()),
            *(f"tube:{k}" for k in self.tube),
        )

    def evaluate(self, values: Mapping[str, float]) -> Evaluation:
        """Expected counts and their derivatives for the parameters `values`."""
        edges = self.edges(values)
        response = moved_response(self.response, values)
        area, ratio = self._areas_and_ratios(values)
        owner = self.templates.cluster_group
        amplitude = area[owner] * ratio
        coefficient = np.array([values[name] for name in self.light_names])
        seen, light, moves = spread_and_derivatives(
            self.photons,
            np.concatenate([amplitude, response.escape_scale * amplitude]),
            coefficient,
            edges,
            response,
            self.crystal,
            everything=bool(self.free_response),
        )
        shapes = seen.peaks + response.escape_scale * seen.escape
        lines = amplitude @ shapes
        pile_up = response.pulse_pair_time_s * self.pile_up_shape[self.span]
        expected = lines + coefficient @ light + pile_up + self.offset[self.span]
        unit = np.zeros((len(self.templates.groups), owner.size))
        unit[owner, np.arange(owner.size)] = ratio / np.maximum(self._strength, 1e-300)[owner]
        first, others = self._ratio_rows
        by_ratio = area[owner[first], None] * shapes[first]
        for row, c in others:
            by_ratio[row] += area[owner[c]] * shapes[c]
        linear = [unit @ shapes, light, by_ratio]
        derivative = self._other_derivatives(values, moves)
        if "escape" in self.priors:
            derivative["escape"] = self.response.escape_scale * (amplitude @ seen.escape)
        if "pile_up" in self.priors:
            derivative["pile_up"] = self.response.pulse_pair_time_s * self.pile_up_shape[self.span]
        rows = [derivative[name] for name in self.names[sum(map(len, linear)) :]]
        jacobian = np.concatenate([*linear, rows])[:, self.inside]
        return Evaluation(expected=expected[self.inside], lines=lines[self.inside], jacobian=jacobian)

    def _other_derivatives(self, values: Mapping[str, float], rows: FloatArray) -> dict[str, FloatArray]:
        """By energy scale, resolution and response: `rows` of the cumulative counts at the edges, then differences."""
        by = dict(zip(DERIVATIVES, np.diff(rows, axis=1), strict=False))
        channel = np.arange(self.span.start, self.span.stop + 1) - 0.5
        derivative = {
            "zero": by["energy"],
            "gain": np.diff(rows[0] * self.scale.gain_kev * channel),
            "noise": by["variance"] * self.response.noise_kev**2,
            "fano": by["variance_energy"] * self.response.fano * PAIR_ENERGY_KEV[self.crystal],
        }
        for name in self.free_response:
            relative = 1.0 + values[name] if name.startswith("width_") else 1.0
            derivative[name] = by[name] / relative
        return derivative

    @property
    def survival(self) -> float:
        """Share of counts that pile-up leaves in its line: exp(-rate x pulse-pair time)."""
        rate = self.spectrum.total_counts / self.spectrum.live_time_s
        return float(np.exp(-self.response.pulse_pair_time_s * rate))

    def renew_pile_up(self, values: Mapping[str, float]) -> None:
        """Counts by pile-up per second of pulse-pair time for fitted energy scale, noise and pulse-pair time."""
        response = moved_response(self.response, values)
        gain = self.scale.gain_kev * (1.0 + values.get("gain", 0.0))
        self.pile_up_shape = pile_up_in(
            self.spectrum.counts[None].astype(np.float64),
            np.array([response.noise_kev / gain]),
            np.array([self.spectrum.live_time_s]),
            np.array([response.pulse_pair_time_s]),
            np.array([(self.scale.zero_kev + values.get("zero", 0.0)) / gain]),
            self.spectrum.n_channels if self.settings.background is Background.SNIP else self.span.stop,
        )[0]

    def _areas_and_ratios(self, values: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
        """Areas over template strengths, shape (n_groups,), and cluster factors, shape (n_clusters,)."""
        area = np.array([values[f"area:{g}"] for g in self.templates.groups])
        ratio = [1.0 if name is None else 1.0 + values[name] for name in self.plan.parameter]
        return area / np.maximum(self._strength, 1e-300), np.array(ratio)

    def amplitudes(self, values: Mapping[str, float]) -> FloatArray:
        """Factors of the strengths of all clusters."""
        area, ratio = self._areas_and_ratios(values)
        return np.asarray(area[self.templates.cluster_group] * ratio)

    def lines_everywhere(self, values: Mapping[str, float]) -> FloatArray:
        """Expected counts of every line group with its escape peaks, shape (n_groups, n_channels)."""
        response = moved_response(self.response, values)
        clusters = self.amplitudes(values)
        amplitude = np.concatenate([clusters, response.escape_scale * clusters])
        owner = np.concatenate([self.templates.cluster_group] * 2)
        return summed(self.photons, amplitude, owner, self.all_edges(values), response, self.crystal)

    def all_edges(self, values: Mapping[str, float]) -> FloatArray:
        """Energies (keV) of the edges of all channels."""
        channel = np.arange(self.spectrum.n_channels + 1) - 0.5
        edges = self.scale.energy_kev(channel) + values["zero"] + values["gain"] * self.scale.gain_kev * channel
        return np.asarray(edges)


def _rows_of(plan: RatioPlan) -> tuple[list[int], list[tuple[int, int]]]:
    """First cluster of every ratio parameter, and (parameter, cluster) of those that are tied to it."""
    first: dict[str, int] = {}
    others = []
    for c, name in enumerate(plan.parameter):
        if name is not None and first.setdefault(name, c) != c:
            others.append((plan.names.index(name), c))
    return [first[name] for name in plan.names], others


def _ranges_text(settings: FitSettings) -> str:
    return ", ".join(f"{low:g} to {high:g} keV" for low, high in settings.ranges_kev)
