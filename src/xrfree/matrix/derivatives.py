"""How line strengths change with the composition: analytic derivatives of Sherman's equation.

Definition   the terms of `fundamental.line_strengths`, differentiated by the attenuation of the tube's photons (a), of
             each line (b), of exciting lines and of scattered photons (μ), and by the sources themselves; all of these
             are linear in the mass fractions.
Validation   tests/matrix/test_derivatives.py: complex step of the plain formula; differences for layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels import sherman
from xrfree.matrix.directions import DIRECTIONS
from xrfree.matrix.fundamental import (
    Excitation,
    LineStrengths,
    _escape_integral,
    _missing_from_below,
    line_strengths,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthDerivatives:
    """Strengths of all lines and their derivatives by the mass fractions.

    total, shoulder : ∂ `strengths.total`_l / ∂w_k and ∂ `strengths.shoulder`_l / ∂w_k, shape (n_lines, n_elements).
    """

    strengths: LineStrengths
    total: FloatArray
    shoulder: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beams:
    """Attenuations a (tube), b (lines), μ (exciting lines), c (Compton-scattered tube), derivatives (n, n_elements)."""

    a: FloatArray
    b: FloatArray
    mu: FloatArray
    c: FloatArray
    by_a: FloatArray
    by_b: FloatArray
    by_mu: FloatArray
    by_c: FloatArray
    sin_in: float
    sin_out: float


def strength_derivatives(
    model: Excitation, mass_fraction: FloatArray, areal_density_g_cm2: float
) -> StrengthDerivatives:
    """Strengths per unit mass fraction and their derivatives by the mass fraction of every element.

    ∂S_l/∂w_k = Σ_E ∂S_l/∂a_E ∂a_E/∂w_k + ∂S_l/∂b_l ∂b_l/∂w_k + Σ_j (∂S_l/∂μ_j ∂μ_j/∂w_k + ∂S_l/∂s_j ∂s_j/∂w_k) + ...

    The mass fractions are independent here: whoever holds their sum projects. Parameters and errors are those of
    `line_strengths`; a content below 0 counts as 0 and what it would change as well.
    """
    weights = np.maximum(mass_fraction, 0.0)
    strengths = line_strengths(model, mass_fraction, areal_density_g_cm2)
    beams = _beams(model, weights)
    escape = _escape_integral(beams.a, beams.b, areal_density_g_cm2)
    path_change = _escape_derivative(beams, escape, areal_density_g_cm2)
    per_line = model.line_fraction * model.efficiency / (4.0 * np.pi * beams.sin_in)
    own = (model.flux * model.group_production)[model.line_group] * path_change
    total = own @ beams.by_a + own.sum(axis=1)[:, None] * beams.by_b
    total += _enhancement(model, weights, beams, escape, path_change, areal_density_g_cm2)
    before, after, after_value = _after_scattering(model, weights, beams, escape, path_change, areal_density_g_cm2)
    elastic = weights @ model.line_rayleigh
    inelastic = weights @ model.line_compton
    total += before + elastic[:, None] * after + after_value[:, None] * model.line_rayleigh.T
    shoulder = inelastic[:, None] * after + after_value[:, None] * model.line_compton.T
    seen = np.where(np.asarray(mass_fraction) >= 0.0, 1.0, 0.0)
    return StrengthDerivatives(
        strengths=strengths, total=per_line[:, None] * total * seen, shoulder=per_line[:, None] * shoulder * seen
    )


def _beams(model: Excitation, weights: FloatArray) -> _Beams:
    sin_in = float(np.sin(model.condition.incidence_angle_rad))
    sin_out = float(np.sin(model.condition.take_off_angle_rad))
    by_a = np.ascontiguousarray(model.tube_attenuation.T / sin_in)
    by_b = np.ascontiguousarray(model.line_attenuation.T / sin_out)
    by_mu = np.ascontiguousarray(model.exciting_attenuation.T)
    by_c = np.ascontiguousarray(model.compton_attenuation.T)
    return _Beams(
        a=by_a @ weights,
        b=by_b @ weights,
        mu=by_mu @ weights,
        c=by_c @ weights,
        by_a=by_a,
        by_b=by_b,
        by_mu=by_mu,
        by_c=by_c,
        sin_in=sin_in,
        sin_out=sin_out,
    )


def _escape_derivative(beams: _Beams, escape: FloatArray, areal_density: float) -> FloatArray:
    """dA/d(a + b), shape (n_lines, n_energies): -A² if thick, else [ρd exp(-(a + b) ρd) - A] / (a + b)."""
    if np.isinf(areal_density):
        return -(escape**2)
    path = np.add.outer(beams.b, beams.a)
    return np.asarray((areal_density * np.exp(-path * areal_density) - escape) / path)


def _lambda(x: FloatArray, mu: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """λ = ln(1 + x/μ) / x and its derivatives by x and by μ."""
    value = np.log1p(x / mu) / x
    return value, (1.0 / (x + mu) - value) / x, -1.0 / (mu * (x + mu))


def _enhancement(
    model: Excitation,
    weights: FloatArray,
    beams: _Beams,
    escape: FloatArray,
    path_change: FloatArray,
    areal_density: float,
) -> FloatArray:
    """Derivatives of the decays caused by lines of the specimen, shape (n_lines, n_elements)."""
    group, fraction = model.exciting_group, model.exciting_fraction
    element = model.group_element[group]
    strength = weights[element] * fraction
    by_strength = np.zeros((strength.size, weights.size))
    by_strength[np.arange(strength.size), element] = fraction
    excited = 0.5 * model.exciting_production[model.line_group]
    production = model.flux * model.group_production
    made = production[group]
    inward, inward_a, inward_mu = _lambda(beams.a[:, None], beams.mu)
    outward, outward_b, outward_mu = _lambda(beams.b[:, None], beams.mu)
    shells = (escape @ production.T)[:, group]
    source = strength * excited
    by_s = excited * (escape @ (made.T * inward) + shells * outward)
    by_mu = source * (escape @ (made.T * inward_mu) + shells * outward_mu)
    arriving = source @ (made * inward.T) + (source * outward) @ made
    by_a = path_change * arriving + escape * (source @ (made * inward_a.T))
    by_b = (path_change * arriving).sum(axis=1) + (source * shells * outward_b).sum(axis=1)
    change = by_a @ beams.by_a + by_b[:, None] * beams.by_b + by_mu @ beams.by_mu + by_s @ by_strength
    if np.isinf(areal_density):
        return np.asarray(change)
    tangents = (beams.by_a, beams.by_b, beams.by_mu, by_strength)
    attenuation = (beams.a, beams.b, beams.mu)
    return np.asarray(change - _missing_from_below(model, attenuation, strength, areal_density, tangents)[1])


def _after_scattering(
    model: Excitation,
    weights: FloatArray,
    beams: _Beams,
    escape: FloatArray,
    path_change: FloatArray,
    areal_density: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Derivatives of the decays with one scattering before and after the excitation, (n_lines, n_elements) each.

    The third part is the value of the second, shape (n_lines,); both lack the cross section of the line.
    """
    a, b, c = beams.a, beams.b[:, None], beams.c
    elastic = (0.5 * model.flux * model.group_production)[model.line_group]
    inelastic = (0.5 * model.flux * model.compton_production)[model.line_group]
    rayleigh, compton = weights @ model.tube_rayleigh, weights @ model.tube_compton
    in_rayleigh, _, _ = _lambda(a, a * beams.sin_in)
    in_compton, in_compton_a, in_compton_c = _lambda(a, c)
    out_rayleigh, out_rayleigh_b, out_rayleigh_mu = _lambda(b, a * beams.sin_in)
    out_compton, out_compton_b, out_compton_c = _lambda(b, c)
    after_in, after_in_a, after_in_mu = _lambda(a, b * beams.sin_out)
    after_out, _, _ = _lambda(b, b * beams.sin_out)

    once, twice = elastic * (in_rayleigh + out_rayleigh), inelastic * (in_compton + out_compton)
    both = path_change * (rayleigh * once + compton * twice)
    by_a = both + escape * (
        rayleigh * elastic * (beams.sin_in * out_rayleigh_mu - in_rayleigh / a) + compton * inelastic * in_compton_a
    )
    by_b = both + escape * (rayleigh * elastic * out_rayleigh_b + compton * inelastic * out_compton_b)
    by_c = escape * compton * inelastic * (in_compton_c + out_compton_c)
    before = by_a @ beams.by_a + by_b.sum(axis=1)[:, None] * beams.by_b + by_c @ beams.by_c
    before += (escape * once) @ model.tube_rayleigh.T + (escape * twice) @ model.tube_compton.T

    seen = after_in + after_out
    changed = path_change * elastic * seen
    by_a = changed + escape * elastic * after_in_a
    by_b = changed + escape * elastic * (beams.sin_out * after_in_mu - after_out / b)
    after = by_a @ beams.by_a + by_b.sum(axis=1)[:, None] * beams.by_b
    value = (escape * elastic * seen).sum(axis=1)
    if not np.isinf(areal_density):
        _subtract_below(model, beams, (rayleigh, compton), areal_density, (before, after, value))
    return before, after, value


def _subtract_below(
    model: Excitation,
    beams: _Beams,
    cross_section: tuple[FloatArray, FloatArray],
    areal_density: float,
    parts: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    """Take from derivatives before and after excitation, and from the value after it, what lies below a layer."""
    before, after, value = parts
    place = (model.group_production, model.compton_production, model.line_group, beams.sin_in, beams.sin_out)
    sherman.scattering_beyond(
        np.zeros_like(value),
        value,
        areal_density,
        model.flux,
        beams.a,
        beams.b,
        beams.c,
        cross_section[0],
        cross_section[1],
        *place,
        *DIRECTIONS,
    )
    sherman.scattering_beyond_tangents(
        before,
        after,
        areal_density,
        model.flux,
        (beams.a, beams.b, beams.c),
        (beams.by_a, beams.by_b, beams.by_c),
        cross_section,
        (np.ascontiguousarray(model.tube_rayleigh.T), np.ascontiguousarray(model.tube_compton.T)),
        *place,
        *DIRECTIONS,
    )
