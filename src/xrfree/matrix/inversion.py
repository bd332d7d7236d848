"""Contents from net intensities: Gauss and Newton on the full physics.

Definition   least squares of intensities with their covariance, analytic derivatives, a declared rule for what is not
             measured (`completion`).
Validation   tests/matrix/test_inversion.py: composition to intensities and back; covariance against replicas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from xrfree.errors import DomainError, NotConvergedError
from xrfree.matrix.completion import Completion, Total
from xrfree.matrix.intensities import GroupIntensities

FloatArray = NDArray[np.float64]

MOST_STEPS = 40
TOLERANCE = 1e-11
"""Largest step, relative to a content or to 1e-4, at which the iteration ends."""
_STALE = 0.03
"""Sum of steps, relative to the contents, after which derivatives are worked out anew."""
_NEAR = 1e-3
_HALVINGS = 12
_MOST_STARTS, _CLOSE = 8, 0.01
_SINGULAR = 1e12
_LEAST_CONTENT = 1e-4
_LIMIT = 2.0
"""Contents (kg/kg) that no specimen can have; an iteration beyond them has lost its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Contents found from intensities.

    measured : elements; content, covariance : kg/kg of the sample, shapes (n,) and (n, n).
    scale : common factor of all intensities, 1 where it was not unknown.
    mass_fraction : of all elements of the specimen, shape (n_elements,), sum 1.
    chi_square : of the intensities, with (number of channels - unknowns) degrees of freedom.
    history : largest step of each iteration, relative to a content or to 1e-4.
    """

    measured: tuple[str, ...]
    content: FloatArray
    covariance: FloatArray
    scale: float
    mass_fraction: FloatArray
    chi_square: float
    history: tuple[float, ...]


def invert(
    intensity: ArrayLike,
    covariance: ArrayLike,
    intensities: GroupIntensities,
    rule: Completion,
    *,
    sensitivity: ArrayLike = 1.0,
    areal_density_g_cm2: float = np.inf,
) -> Contents:
    """Contents whose modelled intensities are nearest to the measured ones.

    I_c = σ k_c m_e(c)(y) S_c(w(y)),  minimum of (I - r)ᵀ V⁻¹ (I - r) by y (and σ, with Σ w = 1, for NORMALISED)

    intensity, covariance : r of every channel, and V, shapes (n_channels,) and (n_channels, n_channels).
    rule : its elements are those of `intensities`; every measured element has a channel.
    sensitivity : k_c, counts per modelled photon: a number or shape (n_channels,).

    Raises NotConvergedError with the history of steps, DomainError for input that cannot determine the contents.
    """
    r, root, k = _checked(intensity, covariance, intensities, rule, sensitivity)
    scene = _Scene(r, root, k, intensities, rule, areal_density_g_cm2)
    state = _start(scene)
    model, jacobian = _model(scene, state)
    history: list[float] = []
    moved = 0.0
    for _ in range(MOST_STEPS):
        step, _ = _solved(scene, jacobian, r - model, state)
        state, model, taken = _advanced(scene, state, model, step)
        history.append(float(np.max(np.abs(taken) / np.maximum(np.abs(state), _LEAST_CONTENT))))
        moved += history[-1]
        if not np.all(np.abs(state[: len(rule.measured)]) < _LIMIT):
            break
        if history[-1] < TOLERANCE:
            return _found(scene, state, tuple(history))
        if moved > _STALE:
            model, jacobian = _model(scene, state)
            moved = 0.0
    raise NotConvergedError(
        f"contents still moved by {history[-1]:.1e} of themselves after {len(history)} steps; check specimen form, "
        "voltage and filter, the rule for unseen elements, and the sensitivities",
        tuple(history),
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    """What stays the same during one inversion: intensities, root of their covariance, sensitivities, physics, rule."""

    intensity: FloatArray
    root: FloatArray
    sensitivity: FloatArray
    intensities: GroupIntensities
    rule: Completion
    areal_density: float


def _checked(
    intensity: ArrayLike, covariance: ArrayLike, intensities: GroupIntensities, rule: Completion, sensitivity: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Intensities, the Cholesky root of their covariance, sensitivities of all channels."""
    n = len(intensities.channels)
    r, v = np.array(intensity, dtype=np.float64), np.array(covariance, dtype=np.float64)
    k = np.broadcast_to(np.asarray(sensitivity, dtype=np.float64), (n,))
    if r.shape != (n,) or v.shape != (n, n) or not (np.isfinite(r).all() and np.isfinite(v).all()):
        raise DomainError(f"{n} channels need {n} intensities and a covariance of shape {(n, n)}, all numbers")
    if not np.all(np.isfinite(k) & (k > 0.0)):
        raise DomainError("sensitivities must be numbers above 0")
    if rule.elements != intensities.elements:
        raise DomainError("the rule for unseen elements and the intensities must list the same elements in one order")
    seen = {intensities.elements[e] for e in intensities.channel_element}
    dark = [e for e in rule.measured if e not in seen]
    if dark or len(seen) > len(rule.measured):
        extra = ", ".join(dark or sorted(seen - set(rule.measured)))
        raise DomainError(f"{extra}: every measured element needs a line group, and every line group such an element")
    try:
        return r, np.asarray(np.linalg.cholesky(v)), k
    except np.linalg.LinAlgError:
        raise DomainError("the covariance of the intensities is not positive definite") from None


def _start(scene: _Scene) -> FloatArray:
    """First contents: intensity over strength, a few times around; the logarithm of the scale if it is unknown."""
    rule, channel_element = scene.rule, scene.intensities.channel_element
    content = np.full(len(rule.measured), 0.3 / len(rule.measured))
    own = [[c for c, e in enumerate(channel_element) if rule.elements[e] == name] for name in rule.measured]
    with_oxygen = rule.table.sum(axis=0)
    log_scale = 0.0
    for _ in range(_MOST_STARTS):
        whole = np.maximum(rule.masses(content), 0.0)
        strength = scene.sensitivity * scene.intensities.strengths(whole / whole.sum(), scene.areal_density)
        each = np.array([np.maximum(scene.intensity[c], 0.0).sum() / strength[c].sum() for c in own]) * rule.mass
        if rule.total is Total.NORMALISED:
            log_scale = float(np.log(max(with_oxygen @ each, 1e-300) / (rule.mass - rule.fixed.sum())))
            each = each / np.exp(log_scale)
        elif with_oxygen @ each > rule.mass:
            each = each * rule.mass / (with_oxygen @ each)
        move = float(np.max(np.abs(each - content)))
        content = each
        if move < _CLOSE:
            break
    return np.append(content, log_scale) if rule.total is Total.NORMALISED else content


def _scale(scene: _Scene, state: FloatArray) -> FloatArray:
    return scene.sensitivity * (np.exp(state[-1]) if scene.rule.total is Total.NORMALISED else 1.0)


def _modelled(scene: _Scene, state: FloatArray) -> FloatArray:
    """Intensities of all channels, shape (n_channels,)."""
    masses = scene.rule.masses(state[: len(scene.rule.measured)])
    strength = scene.intensities.strengths(masses / masses.sum(), scene.areal_density)
    return np.asarray(_scale(scene, state) * masses[scene.intensities.channel_element] * strength)


def _model(scene: _Scene, state: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intensities and their derivatives by the unknowns, shapes (n_channels,) and (n_channels, n_unknowns)."""
    rule, own = scene.rule, scene.intensities.channel_element
    content = state[: len(rule.measured)]
    masses, change = rule.masses(content), rule.mass_derivatives(content)
    whole = masses / masses.sum()
    towards = (change - np.outer(whole, change.sum(axis=0))) / masses.sum()
    strength, by_element = scene.intensities.strengths_and_derivatives(whole, scene.areal_density)
    scale = _scale(scene, state)
    model = scale * masses[own] * strength
    jacobian = scale[:, None] * (change[own] * strength[:, None] + masses[own][:, None] * (by_element @ towards))
    if rule.total is Total.NORMALISED:
        jacobian = np.hstack([jacobian, model[:, None]])
    return model, jacobian


def _misfit(scene: _Scene, model: FloatArray) -> float:
    return float(np.sum(solve_triangular(scene.root, scene.intensity - model, lower=True) ** 2))


def _solved(
    scene: _Scene, jacobian: FloatArray, residual: FloatArray, state: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Step of least squares and covariance of the unknowns; for NORMALISED with the sum of all masses held.

    Columns are scaled to 1, so that a trace and iron weigh alike; the sum enters as a Lagrange multiplier.
    """
    size = np.linalg.norm(solve_triangular(scene.root, jacobian, lower=True), axis=0)
    dark = np.flatnonzero(~(size > 0.0))
    n = jacobian.shape[1]
    a = solve_triangular(scene.root, jacobian / np.where(size > 0.0, size, 1.0), lower=True)
    b = solve_triangular(scene.root, residual, lower=True)
    held = 1 if scene.rule.total is Total.NORMALISED else 0
    system, right = np.zeros((n + held, n + held)), np.zeros(n + held)
    system[:n, :n], right[:n] = a.T @ a, a.T @ b
    if held:
        row = np.append(scene.rule.table.sum(axis=0), 0.0)
        missing = scene.rule.mass - float(scene.rule.fixed.sum() + row @ state)
        length = float(np.linalg.norm(row / size))
        system[n, :n] = system[:n, n] = row / size / length
        right[n] = missing / length
    if dark.size or not np.isfinite(system).all() or np.linalg.cond(system) > _SINGULAR:
        groups = ", ".join(" ".join(channel) for channel in scene.intensities.channels)
        raise DomainError(
            f"{groups} do not determine the contents; measure another line group, or close the sum by a remainder"
        )
    inverse = np.linalg.inv(system)
    return (inverse @ right)[:n] / size, inverse[:n, :n] / np.outer(size, size)


def _advanced(
    scene: _Scene, state: FloatArray, model: FloatArray, step: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """State and intensities after as much of the step as lowers the misfit (near the solution all of it), and that."""
    near = np.max(np.abs(step) / np.maximum(np.abs(state), _LEAST_CONTENT)) < _NEAR
    before = np.inf if near else _misfit(scene, model)
    taken = step
    for _ in range(_HALVINGS):
        content = (state + taken)[: len(scene.rule.measured)]
        possible = np.abs(content).max() < _LIMIT and scene.rule.masses(content).sum() > 0.0
        if possible:
            moved = _modelled(scene, state + taken)
            if near or _misfit(scene, moved) < before:
                return state + taken, moved, taken
        taken = 0.5 * taken
    return state + taken, _modelled(scene, state + taken), taken


def _found(scene: _Scene, state: FloatArray, history: tuple[float, ...]) -> Contents:
    model, jacobian = _model(scene, state)
    _, covariance = _solved(scene, jacobian, scene.intensity - model, state)
    rule, n = scene.rule, len(scene.rule.measured)
    masses = rule.masses(state[:n])
    return Contents(
        measured=rule.measured,
        content=state[:n],
        covariance=covariance[:n, :n],
        scale=float(np.exp(state[n])) if rule.total is Total.NORMALISED else 1.0,
        mass_fraction=masses / masses.sum(),
        chi_square=_misfit(scene, model),
        history=history,
    )
