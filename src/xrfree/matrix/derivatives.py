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
from xrfree.matrix.fundamental import (
    Excitation,
    LineStrengths,
    _escape_integral,
    _missing_from_below,
    _scattered_from_below,
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
    production = model.flux * model.group_production
    shells = escape @ production.T
    light = np.zeros((3, strength.size, beams.a.size))
    sherman.inward_slopes(light, beams.a, beams.mu, production, group)
    outward, out_b = np.zeros(shells.shape), np.zeros(beams.b.size)
    out_mu, out_strength = np.zeros((beams.b.size, strength.size)), np.zeros((beams.b.size, strength.size))
    sherman.outward_slopes(
        outward,
        out_b,
        out_mu,
        out_strength,
        beams.b,
        beams.mu,
        strength,
        group,
        model.exciting_production,
        model.line_group,
        shells,
    )
    # What depends on the emitted line by its group alone is summed by group, of which there are fewer.
    excited = strength * model.exciting_production
    by_a = path_change * ((excited @ light[0])[model.line_group] + outward @ production)
    by_b = by_a.sum(axis=1) + out_b
    by_a += escape * (excited @ light[1])[model.line_group]
    by_mu = excited[model.line_group] * (escape @ light[2].T) + out_mu
    by_strength = np.zeros((strength.size, weights.size))
    by_strength[np.arange(strength.size), element] = fraction
    change = by_a @ beams.by_a + by_b[:, None] * beams.by_b + by_mu @ beams.by_mu + out_strength @ by_strength
    for k in np.unique(element):
        mine = element == k
        from_element = (fraction[mine] * model.exciting_production[:, mine]) @ light[0, mine]
        change[:, k] += np.einsum("le,le->l", escape, from_element[model.line_group])
    change *= 0.5
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
    rayleigh, compton = weights @ model.tube_rayleigh, weights @ model.tube_compton
    by_a, by_c, by_rayleigh, by_compton, out_a = (np.zeros(escape.shape) for _ in range(5))
    line = np.zeros((3, beams.b.size))
    sherman.scattering_slopes(
        (by_a, by_c, by_rayleigh, by_compton),
        out_a,
        line,
        escape,
        path_change,
        (beams.a, beams.b, beams.c),
        (rayleigh, compton),
        model.flux * model.group_production,
        model.flux * model.compton_production,
        model.line_group,
        beams.sin_in,
        beams.sin_out,
    )
    before = by_a @ beams.by_a + line[0][:, None] * beams.by_b + by_c @ beams.by_c
    before += by_rayleigh @ model.tube_rayleigh.T + by_compton @ model.tube_compton.T
    after = out_a @ beams.by_a + line[1][:, None] * beams.by_b
    value = line[2].copy()
    if not np.isinf(areal_density):
        _, missing_value, missing_before, missing_after = _scattered_from_below(
            model,
            (beams.a, beams.b, beams.c),
            (rayleigh, compton),
            areal_density,
            (
                beams.by_a,
                beams.by_b,
                beams.by_c,
                np.ascontiguousarray(model.tube_rayleigh.T),
                np.ascontiguousarray(model.tube_compton.T),
            ),
        )
        before -= missing_before
        after -= missing_after
        value -= missing_value
    return before, after, value
