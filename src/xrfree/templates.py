"""What the matrix model says becomes columns of the fit: the only room that knows both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.fit.inputs import SHIFT, Light, LineCluster, Templates
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.fundamental import Excitation, excitation, line_strengths, only_lines
from xrfree.matrix.scatter import (
    MOMENTUM,
    Scattering,
    compton_energy,
    momentum_shares,
    rebinned,
    scattered_continuum,
    scattered_lines,
    scattering,
)

FloatArray = NDArray[np.float64]

_ANGLES = 10
_LEAST_SHOULDER = 1e-2
"""Share of the strongest cluster's Compton-scattered photons below which a cluster's are left out."""
_MOVABLE_KEV = 7.2
"""Below this, K lines may lie elsewhere than the tables say: those of elements up to cobalt."""
_SHIFT_KEV, _STEP_KEV = 1e-4, 2e-3
"""By how much a line moves when its "shift" grows by 1, and the step of the difference that moves it."""
_SHIFT_SIGMA = 3.0
"""Prior of shifts: 0.3 eV, of the size of what bonds do to K lines of 3d metals; a judgement, no table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionModel:
    """Excitation and scatter of one condition, prepared for a list of elements.

    shoulder_kev : energies of every line after Compton scattering in the specimen, shape
        (n_lines, n_angles, n_momenta); angle_share, momentum_share : how photons spread over them, shapes (n_angles,)
        and (n_elements, n_momenta).
    parts : models of some line groups alone, made by `emitting` when they are first asked for.
    """

    excitation: Excitation
    scattering: Scattering
    shoulder_kev: FloatArray
    angle_share: FloatArray
    momentum_share: FloatArray
    parts: dict[tuple[str, ...], ConditionModel] = field(default_factory=dict)

    @property
    def elements(self) -> tuple[str, ...]:
        """All elements of the specimen, in the order of mass-fraction vectors."""
        return self.excitation.elements

    def emitting(self, groups: Sequence[str]) -> ConditionModel:
        """The same model for lines of the named groups alone."""
        wanted = tuple(groups)
        if wanted not in self.parts:
            keep = np.array([f"{line.element} {line.shell[0]}" in wanted for line in self.excitation.lines])
            self.parts[wanted] = replace(
                self,
                excitation=only_lines(self.excitation, keep),
                shoulder_kev=self.shoulder_kev[keep],
                parts={},
            )
        return self.parts[wanted]


def condition_model(condition: InstrumentCondition, detector: Detector, elements: Sequence[str]) -> ConditionModel:
    """Prepare one condition for specimens made of `elements`."""
    prepared = excitation(condition, detector, elements)
    cosine = 1.0 - (np.arange(_ANGLES) + 0.5) / _ANGLES * 2.0
    thomson = 1.0 + cosine**2
    return ConditionModel(
        excitation=prepared,
        scattering=scattering(condition, detector, elements),
        shoulder_kev=np.stack(
            [compton_energy(prepared.line_energy_kev[:, None], MOMENTUM, float(np.arccos(c))) for c in cosine], axis=1
        ),
        angle_share=thomson / thomson.sum(),
        momentum_share=np.array([momentum_shares(e) for e in elements]),
    )


def cluster_name(transition: str) -> str:
    """Cluster of a line: lines of one subshell from neighbouring outer levels ("L3-M5" -> "L3-M4,5")."""
    inner, outer = transition.split("-")
    if inner[0] in "KM":
        return f"{inner}-{outer[0]}"
    if inner == "L1":
        return {"M2": "L1-M2", "M3": "L1-M3"}.get(outer, "L1-M4,5" if outer[0] == "M" else f"L1-{outer[0]}")
    if outer in ("M1", "N1"):
        return f"{inner}-{outer}"
    if outer[0] == "M":
        return f"{inner}-M4,5"
    return f"{inner}-N4,5" if outer[0] == "N" else f"{inner}-{outer[0]}"


def templates(
    model: ConditionModel, mass_fraction: FloatArray, areal_density_g_cm2: float, groups: Sequence[str]
) -> Templates:
    """Lines and scattered light that a specimen of this composition is expected to show.

    mass_fraction : shape (n_elements,), of the whole specimen.
    groups : line groups ("La L") that become columns of the fit; those that the tube cannot excite are left out.
    """
    part = model.emitting(groups)
    prepared = part.excitation
    strengths = line_strengths(prepared, mass_fraction, areal_density_g_cm2)
    names = [(f"{line.element} {line.shell[0]}", cluster_name(line.transition)) for line in prepared.lines]
    clusters = list(dict.fromkeys(names))
    cluster = np.array([clusters.index(name) for name in names], dtype=np.int64)
    total = np.bincount(cluster, weights=strengths.total, minlength=len(clusters))
    seen = tuple(group for group in groups if any(g == group for g, _ in clusters))
    owner = np.array([seen.index(group) for group, _ in clusters], dtype=np.int64)
    leading = {int(np.argmax(np.where(owner == k, total, -1.0))) for k in range(len(seen))}
    shoulder, shoulder_cluster = _shoulders(part, mass_fraction, strengths.shoulder, cluster)
    continuum = scattered_continuum(model.scattering, mass_fraction, areal_density_g_cm2)
    tube = scattered_lines(model.scattering, mass_fraction, areal_density_g_cm2)
    return Templates(
        groups=seen,
        clusters=tuple(LineCluster(group=g, name=n, leading=k in leading) for k, (g, n) in enumerate(clusters)),
        cluster_group=owner,
        energy_kev=prepared.line_energy_kev,
        strength=strengths.total,
        half_width_kev=0.5 * prepared.line_width_kev,
        is_k=np.array([line.shell == "K" for line in prepared.lines], dtype=bool),
        line_cluster=cluster,
        shoulder=shoulder,
        shoulder_cluster=shoulder_cluster,
        continuum=Light(energy_kev=continuum.energy_kev, strength=continuum.strength),
        tube=tuple(Light(energy_kev=part.energy_kev, strength=part.strength) for part in tube),
    )


def movable(known: Templates) -> Templates:
    """Templates in which the strong lines of light elements (Kα) need not lie just where the tables put them.

    Σ_l S_l v(E_l + p δ) = Σ_l S_l {v(E_l - δ) + (1 + p) δ [v(E_l + h) - v(E_l - h)] / 2h},  δ = 0.1 eV, h = 2 eV
    for the lines l of strength S_l that lead their group, v the shape of a line at an energy: the second part is a
    cluster of its own, "shift", whose relative deviation p has a prior of 0.3 eV. Bonds move these lines by tenths of
    an eV, and so do a scale that is not quite straight and the bins of a pulse processor, which broader L lines do not
    feel: enough counts on the flanks of a matrix element to bias a trace line that lies there.
    """
    light = known.is_k & (known.energy_kev < _MOVABLE_KEV)
    moved = [k for k in np.unique(known.line_cluster[light]).tolist() if known.clusters[k].leading]
    lines = np.flatnonzero(np.isin(known.line_cluster, moved))
    place = np.full(len(known.clusters), -1)
    place[moved] = len(known.clusters) + np.arange(len(moved))
    energy, change = known.energy_kev[lines], known.strength[lines] * _SHIFT_KEV / (2.0 * _STEP_KEV)
    from_tables = known.energy_kev.copy()
    from_tables[lines] -= _SHIFT_KEV
    every = np.concatenate([np.arange(known.energy_kev.size), lines, lines])
    cluster = known.line_cluster[every]
    cluster[known.energy_kev.size :] = place[cluster[known.energy_kev.size :]]
    return replace(
        known,
        clusters=(
            *known.clusters,
            *(LineCluster(group=known.clusters[k].group, name=SHIFT, sigma=_SHIFT_SIGMA) for k in moved),
        ),
        cluster_group=np.concatenate([known.cluster_group, known.cluster_group[moved]]),
        energy_kev=np.concatenate([from_tables, energy + _STEP_KEV, energy - _STEP_KEV]),
        strength=np.concatenate([known.strength, change, -change]),
        half_width_kev=known.half_width_kev[every],
        is_k=known.is_k[every],
        line_cluster=cluster,
    )


def _shoulders(
    model: ConditionModel, mass_fraction: FloatArray, strength: FloatArray, cluster: NDArray[np.int64]
) -> tuple[Light, NDArray[np.int64]]:
    """Compton-scattered photons of each cluster's lines on a fine grid of energies, and the cluster of each.

    Angles between -1 and 1 in cos θ weighted by 1 + cos² θ (Thomson), electrons' momenta by the Compton profiles of the
    specimen's atoms. cluster : of every line of the model. Clusters that contribute next to nothing are left out.
    """
    weights = np.maximum(mass_fraction, 0.0)[:, None] * model.excitation.line_compton
    momenta = (weights.T @ model.momentum_share) / np.maximum(weights.sum(axis=0), 1e-300)[:, None]
    share = strength[:, None, None] * model.angle_share[:, None] * momenta[:, None, :]
    total = np.bincount(cluster, weights=strength, minlength=1)
    energies, strengths, owners = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for k in np.flatnonzero(total > _LEAST_SHOULDER * total.max()):
        light = rebinned(model.shoulder_kev[cluster == k].ravel(), share[cluster == k].ravel())
        energies.append(light.energy_kev)
        strengths.append(light.strength)
        owners.append(np.full(light.energy_kev.size, k))
    return Light(energy_kev=np.concatenate(energies), strength=np.concatenate(strengths)), np.concatenate(owners)


def group_strengths(
    model: ConditionModel, mass_fraction: FloatArray, areal_density_g_cm2: float, groups: Sequence[str]
) -> FloatArray:
    """Modelled strength of each line group per unit mass fraction of its element, shape (n_groups,)."""
    part = model.emitting(groups).excitation
    strength = line_strengths(part, mass_fraction, areal_density_g_cm2).total
    wanted = list(groups)
    owner = [wanted.index(f"{line.element} {line.shell[0]}") for line in part.lines]
    return np.bincount(np.array(owner, dtype=np.int64), weights=strength, minlength=len(wanted)).astype(np.float64)
