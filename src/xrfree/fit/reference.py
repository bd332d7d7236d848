"""What the fits of many similar spectra share: lines worth a parameter, and how areas answer to the templates.

Definition   At the fit of the spectra's sum, in the counts of one of them: a ratio of lines that one spectrum says next
             to nothing about is held at its prior. Templates of another composition would change the areas by
             δa = -(J W Jᵀ + P)⁻¹ J W δμ, first order, δμ the change of the expected counts with all parameters as they
             are. Without a line group, the variance of its area would be that of the same spectrum less its counts.
Validation   tests/fit/test_reference.py: fits with the other templates; the single fit's variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.fit.inputs import FitSettings, Light, Templates
from xrfree.fit.model import SpectrumModel
from xrfree.fit.region import RegionFit
from xrfree.fit.residual import line_shapes
from xrfree.fit.solve import JointPrior, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

IDLE = 1e-2
"""Information of one spectrum on a line ratio, over that of its prior, below which the ratio is held."""
_NODES = 5
_LEAST_EXPECTED = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockReference:
    """How similar spectra are fitted, and what differs between them.

    templates, settings, priors : for `fit_spectra`; the templates have fewer clusters than the region's own.
    unit : areas per area of these templates, shape (n_groups,).
    linear : places of areas and background among the parameters, shape (n_linear,).
    change : of the areas, per linear parameter and step of the templates, shape (n_groups, n_linear, n_steps).
    jacobian, expected, precision : of one spectrum like the mean of all, shapes (n_parameters, n_channels),
        (n_channels,) and (n_parameters, n_parameters), for parameters that are free.
    area : its areas, shape (n_groups,); own, ratios : places of each group's area, and of its line ratios, in these.
    mean : all parameters of that spectrum, shape (n_all,), and columns : its counts by each of them, shape
        (n_all, n_channels); pile_up : its counts by pile-up, shape (n_channels,); owner : place of the area that a line
        ratio belongs to, -1 for what is none.
    peak_shapes : counts per channel of a line in each channel, shape (n_channels, n_channels); window : the channels.
    """

    templates: Templates
    settings: FitSettings
    priors: tuple[JointPrior, ...]
    unit: FloatArray
    linear: IntArray
    change: FloatArray
    jacobian: FloatArray
    expected: FloatArray
    precision: FloatArray
    area: FloatArray
    own: tuple[int, ...]
    ratios: tuple[IntArray, ...]
    mean: FloatArray
    columns: FloatArray
    pile_up: FloatArray
    owner: IntArray
    peak_shapes: FloatArray
    window: NDArray[np.bool_]

    def expected_counts(self, values: FloatArray, scale: FloatArray, pairs: FloatArray) -> FloatArray:
        """Expected counts of many spectra, first order in what is not linear, shape (n_spectra, n_channels).

        values : parameters of the fits, shape (n_spectra, n_all); scale, pairs : counts, and pairs of counts per
        second, over those of the mean spectrum, shape (n_spectra,).
        """
        by = values - self.mean
        by[:, self.linear] = values[:, self.linear]
        is_ratio = self.owner >= 0
        factor = np.repeat(scale[:, None], by.shape[1], axis=1)
        factor[:, self.linear] = 1.0
        area = self.mean[self.owner[is_ratio]]
        factor[:, is_ratio] = values[:, self.owner[is_ratio]] / np.where(np.abs(area) > 1.0, area, np.inf)
        return np.asarray((by * factor) @ self.columns + pairs[:, None] * self.pile_up)

    def largest_peaks(self, counts: FloatArray, expected: FloatArray) -> FloatArray:
        """Significance of the largest peak in each residual, as `residual.unmodelled_lines` has it, shape (n_spectra,).

        counts, expected : shape (n_spectra, n_channels), in the fitted channels.
        """
        weight = 1.0 / np.maximum(expected, 1.0)
        found = ((counts - expected) * weight) @ self.peak_shapes
        return np.asarray((found / np.sqrt(weight @ self.peak_shapes**2)).max(axis=1))

    def changes(self, values: FloatArray, steps: FloatArray) -> FloatArray:
        """Changes of the areas, in counts, shape (n_spectra, n_groups).

        values : parameters of the fits, shape (n_spectra, n_parameters); steps : of the templates, from those of the
        reference to those of each spectrum, shape (n_spectra, n_steps).
        """
        n_groups, n_linear, n_steps = self.change.shape
        by_step = (values[:, self.linear] @ self.change.transpose(1, 0, 2).reshape(n_linear, -1)).reshape(
            -1, n_groups, n_steps
        )
        return np.asarray(np.matmul(by_step, steps[:, :, None])[:, :, 0])

    def variance_shares(self, area: FloatArray) -> FloatArray:
        """Variance of each area if its group were absent, over its variance, shape (n_spectra, n_groups).

        area : of the fits, scaled to the counts of the mean spectrum.
        """
        found = np.ones_like(area)
        for k in range(area.shape[1]):
            largest = float(area[:, k].max(initial=0.0))
            if largest > 0.0:
                nodes = largest * (np.arange(_NODES) / (_NODES - 1)) ** 2
                variance = np.array([self._variance(k, float(x)) for x in nodes])
                found[:, k] = 1.0 / np.interp(area[:, k], nodes, variance / variance[0])
        return found

    def _variance(self, k: int, area: float) -> float:
        """Variance of the area of group k in a spectrum that has `area` of it, and else is the mean."""
        own, ratios = self.own[k], self.ratios[k]
        jacobian = self.jacobian.copy()
        jacobian[ratios] *= area / self.area[k] if self.area[k] > 1.0 else 0.0
        expected = np.maximum(self.expected + (area - self.area[k]) * self.jacobian[own], _LEAST_EXPECTED)
        information = (jacobian / expected) @ jacobian.T + self.precision
        size = 1.0 / np.sqrt(np.diag(information))
        unit = np.zeros(size.size)
        unit[own] = size[own]
        return float(np.linalg.solve(information * size * size[:, None], unit)[own] * size[own])


def block_reference(
    fit: RegionFit,
    templates: Templates,
    moved: Sequence[tuple[float, Templates]],
    *,
    settings: FitSettings,
    priors: Sequence[JointPrior],
    n_spectra: int,
) -> BlockReference:
    """Prepare the fits of spectra of which `fit` is that of their sum.

    templates : of the reference, with the same lines as those of `fit`.
    moved : sizes of the steps, and templates after each.
    settings, priors : those of areas and background in counts of one spectrum.
    """
    held = {} if settings.ratios else _idle_ratios(fit, priors, n_spectra)
    fewer = with_held_ratios(templates, held)
    unit = templates.group_strength / fewer.group_strength
    known = tuple(_without(prior, set(held)) for prior in priors)
    model = _model(fit.model, fewer, settings)
    values = {name: fit.values[name] for name in model.names}
    values.update({f"area:{g}": fit.values[f"area:{g}"] / u for g, u in zip(fewer.groups, unit, strict=True)})
    model.renew_pile_up(values)
    evaluation = model.evaluate(values)
    problem = Problem([model], frozenset(), known)
    is_linear = np.array([name.startswith(("area:", "continuum:", "tube:")) for name in model.names])
    jacobian = evaluation.jacobian * np.where(is_linear, 1.0, 1.0 / n_spectra)[:, None]
    expected = np.maximum(evaluation.expected / n_spectra, _LEAST_EXPECTED)
    free = np.flatnonzero(~problem.fixed)
    precision = problem.precision[np.ix_(free, free)]
    names = [model.names[i] for i in free]
    own = tuple(names.index(f"area:{g}") for g in fewer.groups)
    weighted = jacobian[free] / expected
    gain = np.linalg.solve(weighted @ jacobian[free].T + precision, weighted)[list(own)] * unit[:, None]
    linear = np.flatnonzero(is_linear)
    coefficients = np.array([values[model.names[i]] for i in linear])
    change = np.zeros((unit.size, linear.size, len(moved)))
    for k, (step, other) in enumerate(moved):
        shifted = _columns(_model(fit.model, with_held_ratios(other, held), settings), values)
        moves = [shifted.get(model.names[i], evaluation.jacobian[i]) - evaluation.jacobian[i] for i in linear]
        change[:, :, k] = -gain @ (np.array(moves) / step).T
    return BlockReference(
        templates=fewer,
        settings=settings,
        priors=known,
        unit=unit,
        linear=linear,
        change=change,
        jacobian=jacobian[free],
        expected=expected,
        precision=precision,
        area=np.array([values[f"area:{g}"] for g in fewer.groups]) / n_spectra,
        own=own,
        ratios=tuple(
            np.array([i for i, name in enumerate(names) if name.startswith(f"ratio:{g}:")], dtype=np.int64)
            for g in fewer.groups
        ),
        mean=np.array([values[name] for name in model.names]) * np.where(is_linear, 1.0 / n_spectra, 1.0),
        columns=jacobian,
        pile_up=(evaluation.expected - coefficients @ evaluation.jacobian[linear]) / n_spectra,
        owner=np.array([_owner(model, name) for name in model.names]),
        peak_shapes=_peak_shapes(model),
        window=model.window,
    )


def _owner(model: SpectrumModel, name: str) -> int:
    """Place of the area that a line ratio belongs to, -1 for other parameters."""
    return model.names.index(f"area:{name.split(':')[1]}") if name.startswith("ratio:") else -1


def _peak_shapes(model: SpectrumModel) -> FloatArray:
    """Counts per channel (first axis) of a line of one count in each channel, as the detector shows it."""
    energy = model.scale.centres_kev(model.window.size)[model.window]
    near, shares = line_shapes(energy, model.response.sigma_kev(energy, model.crystal))
    shapes = np.zeros((energy.size, energy.size))
    np.add.at(shapes, (near, np.arange(energy.size)[:, None]), shares)
    return shapes


def _model(like: SpectrumModel, templates: Templates, settings: FitSettings) -> SpectrumModel:
    return SpectrumModel(like.spectrum, templates, like.response, like.crystal, settings, like.scale)


def _columns(model: SpectrumModel, values: dict[str, float]) -> dict[str, FloatArray]:
    """Columns by parameter; a tube line that only these templates let into the window has no counts."""
    rows = model.evaluate({**dict.fromkeys(model.names, 0.0), **values}).jacobian
    return dict(zip(model.names, rows, strict=True))


def _idle_ratios(fit: RegionFit, priors: Sequence[JointPrior], n_spectra: int) -> dict[tuple[str, str], float]:
    """Deviations of the line ratios that are held, by group and cluster."""
    model = fit.model
    evaluation = model.evaluate(fit.values)
    information = (evaluation.jacobian**2 / np.maximum(evaluation.expected, _LEAST_EXPECTED)).sum(axis=1) / n_spectra
    problem = Problem([model], frozenset(), priors)
    variance = {
        name: float(v) for prior in priors for name, v in zip(prior.names, np.diag(prior.covariance), strict=True)
    }
    held = {}
    for i, name in enumerate(model.names):
        if name.startswith("ratio:"):
            known = variance.get(name, model.prior(name).sigma ** 2)
            if information[i] * known < IDLE:
                _, group, cluster = name.split(":")
                held[group, cluster] = float(problem.mean[i])
    return held


def with_held_ratios(templates: Templates, held: dict[tuple[str, str], float]) -> Templates:
    """Templates in which some clusters are part of the leading one of their group.

    held : deviations from the templates' ratios that these clusters keep, by group and name of the cluster.
    """
    names = [(c.group, c.name) for c in templates.clusters]
    leading = {c.group: i for i, c in enumerate(templates.clusters) if c.leading}
    kept = [i for i, name in enumerate(names) if name not in held]
    factor = np.array([1.0 + held.get(name, 0.0) for name in names])
    target = np.array([kept.index(leading[g] if (g, name) in held else i) for i, (g, name) in enumerate(names)])
    shoulder = templates.shoulder
    return replace(
        templates,
        clusters=tuple(templates.clusters[i] for i in kept),
        cluster_group=templates.cluster_group[kept],
        strength=templates.strength * factor[templates.line_cluster],
        line_cluster=target[templates.line_cluster],
        shoulder=Light(energy_kev=shoulder.energy_kev, strength=shoulder.strength * factor[templates.shoulder_cluster]),
        shoulder_cluster=target[templates.shoulder_cluster],
    )


def _without(prior: JointPrior, held: set[tuple[str, str]]) -> JointPrior:
    """The prior of all but the ratios that are held."""
    dropped = {f"ratio:{group}:{cluster}" for group, cluster in held}
    kept = [i for i, name in enumerate(prior.names) if name not in dropped]
    return JointPrior(
        names=tuple(prior.names[i] for i in kept),
        mean=prior.mean[kept],
        covariance=prior.covariance[np.ix_(kept, kept)],
    )
