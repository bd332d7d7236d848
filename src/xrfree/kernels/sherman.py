"""Sums over exciting photons and exciting lines in Sherman's equation.

Definition   logarithms of secondary excitation depend only on (tube energy, exciting line) and on (exciting line,
             emitted line); terms of subshells that a photon cannot ionise are skipped.
Validation   tests/kernels/test_sherman.py: plain loops; tests/matrix/test_fundamental.py: integrals over both depths.
"""

from __future__ import annotations

from math import log, log1p

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels._kernel import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_OPAQUE = 21.0
"""Exponent beyond which what passes a layer is left out: less than 1e-9 of what enters it."""


@kernel
def _log_one_plus(x: float) -> float:
    """ln(1 + x) for x ≥ 0; the plain logarithm, twice as fast, where it loses nothing."""
    return log(1.0 + x) if x > 0.1 else log1p(x)


@kernel
def inward_sums(
    inward: FloatArray, a: FloatArray, mu: FloatArray, strength: FloatArray, production: FloatArray, group: IntArray
) -> None:
    """s_j F_j(E) λ(a, μ_j) with λ(a, μ) = ln(1 + a/μ) / a, shape (n_exciting, n_energies); `inward` starts at 0.

    production : shape (n_groups, n_energies), F of every group; group : group of each exciting line.
    """
    for j in range(mu.size):
        if strength[j] > 0.0:
            mine = production[group[j]]
            for i in range(a.size):
                if mine[i] > 0.0:
                    inward[j, i] = strength[j] * mine[i] * _log_one_plus(a[i] / mu[j]) / a[i]


@kernel
def outward_sums(
    outward: FloatArray,
    b: FloatArray,
    mu: FloatArray,
    strength: FloatArray,
    group: IntArray,
    excited: FloatArray,
    line_group: IntArray,
) -> None:
    """Σ_j s_j F_l(E_j) λ(b_l, μ_j) by group of the exciting line, shape (n_lines, n_groups); `outward` starts at 0.

    excited : shape (n_groups, n_exciting), F of the emitting group at the energy of each exciting line.
    """
    for k in range(b.size):
        mine = excited[line_group[k]]
        for j in range(mu.size):
            made = strength[j] * mine[j]
            if made > 0.0:
                outward[k, group[j]] += made * _log_one_plus(b[k] / mu[j]) / b[k]


@kernel
def scattering_sums(
    before: FloatArray,
    after: FloatArray,
    geometry: FloatArray,
    a: FloatArray,
    b: FloatArray,
    compton_mu: FloatArray,
    rayleigh: FloatArray,
    compton: FloatArray,
    elastic_production: FloatArray,
    compton_production: FloatArray,
    line_group: IntArray,
    sin_in: float,
    sin_out: float,
) -> None:
    """Decays per line with one scattering before and after excitation, shape (n_lines,) each; both start at 0.

    geometry : shape (n_lines, n_energies), flux times escape integral; productions : (n_groups, n_energies).
    rayleigh, compton : scattering of the tube's photons, per mass; compton_mu : attenuation after Compton scattering.
    """
    elastic_in = log1p(1.0 / sin_in) / a
    compton_in = np.log1p(a / compton_mu) / a
    for k in range(b.size):
        elastic, inelastic = elastic_production[line_group[k]], compton_production[line_group[k]]
        own = log1p(1.0 / sin_out) / b[k]
        for i in range(a.size):
            if elastic[i] > 0.0:
                mutual = elastic_in[i] + _log_one_plus(b[k] / (a[i] * sin_in)) / b[k]
                before[k] += 0.5 * geometry[k, i] * rayleigh[i] * elastic[i] * mutual
                out = _log_one_plus(a[i] / (b[k] * sin_out)) / a[i] + own
                after[k] += 0.5 * geometry[k, i] * elastic[i] * out
            if inelastic[i] > 0.0:
                mutual = compton_in[i] + _log_one_plus(b[k] / compton_mu[i]) / b[k]
                before[k] += 0.5 * geometry[k, i] * compton[i] * inelastic[i] * mutual


@kernel
def _between(a: complex, m: complex, after_a: complex, after_m: complex, mass: float) -> complex:
    """∫_0^T exp(-a z) exp(-m (T - z)) dz = (exp(-a T) - exp(-m T)) / (m - a); T is `mass`, after_a is exp(-a T)."""
    x = (m - a) * mass
    if abs(x) > 1e-4:
        return (after_a - after_m) / (m - a)
    return mass * after_a * (1.0 - 0.5 * x * (1.0 - x / 3.0))


@kernel
def lost_downwards(
    lost: NDArray[np.complexfloating] | FloatArray,
    a: FloatArray,
    b: FloatArray,
    mu: FloatArray,
    mass: float,
    strength: FloatArray,
    production: FloatArray,
    group: IntArray,
    excited: FloatArray,
    line_group: IntArray,
    cosine: FloatArray,
    weight: FloatArray,
) -> None:
    """What a half-space would add to each line by its own lines that leave a layer of `mass` (g/cm²) downwards.

    Σ_j s_j F_l(E_j) exp(-b T) ½ ∫_0^1 dx Σ_E N F_j (exp(-a T) - exp(-m T)) / [(m - a)(b x + μ_j)],  m = μ_j / x

    lost : shape (n_lines,), added to; production : shape (n_groups, n_energies), N F; cosine, weight : nodes of x.
    a, b, mu, strength and `lost` may be complex (derivatives by the complex step).
    """
    after_a, after_b = np.exp(-a * mass), np.exp(-b * mass)
    for j in range(mu.size):
        if strength[j].real == 0.0:
            continue
        mine = production[group[j]]
        softest = np.inf
        for i in range(a.size):
            if mine[i] > 0.0:
                softest = min(softest, a[i].real)
        softest = min(softest, mu[j].real)
        ready = False
        leaving = np.zeros(cosine.size, dtype=a.dtype)
        for k in range(b.size):
            made = strength[j] * excited[line_group[k], j]
            if made.real == 0.0 or (b[k].real + softest) * mass > _OPAQUE:
                continue
            if not ready:
                ready = True
                for n in range(cosine.size):
                    m = mu[j] / cosine[n]
                    after_m = np.exp(-m * mass)
                    for i in range(a.size):
                        if mine[i] > 0.0:
                            leaving[n] += mine[i] * _between(a[i], m, after_a[i], after_m, mass)
            for n in range(cosine.size):
                lost[k] += made * after_b[k] * 0.5 * weight[n] * leaving[n] / (b[k] * cosine[n] + mu[j])


@kernel
def gained_upwards(
    gained: NDArray[np.complexfloating] | FloatArray,
    a: FloatArray,
    b: FloatArray,
    mu: FloatArray,
    mass: float,
    below_a: FloatArray,
    below_mu: FloatArray,
    strength: FloatArray,
    production: FloatArray,
    group: IntArray,
    excited: FloatArray,
    line_group: IntArray,
    cosine: FloatArray,
    weight: FloatArray,
) -> None:
    """What the lines of a half-space under a layer of `mass` (g/cm²) add to each line of the layer.

    Σ_j s_j F_l(E_j) ½ ∫_0^1 dx/x Σ_E N F_j exp(-a T) / (a' + μ'_j/x) (exp(-b T) - exp(-m T)) / (m - b),  m = μ_j / x

    below_a, below_mu, strength : a', μ'_j and s_j of the half-space; the rest as in `lost_downwards`.
    """
    after_a, after_b = np.exp(-a * mass), np.exp(-b * mass)
    for j in range(mu.size):
        if strength[j].real == 0.0:
            continue
        mine = production[group[j]]
        softest = np.inf
        for i in range(a.size):
            if mine[i] > 0.0:
                softest = min(softest, a[i].real)
        ready = False
        rising = np.zeros(cosine.size, dtype=a.dtype)
        for k in range(b.size):
            made = strength[j] * excited[line_group[k], j]
            if made.real == 0.0 or (softest + min(b[k].real, mu[j].real)) * mass > _OPAQUE:
                continue
            if not ready:
                ready = True
                for n in range(cosine.size):
                    for i in range(a.size):
                        if mine[i] > 0.0:
                            path = below_a[i] * cosine[n] + below_mu[j]
                            rising[n] += mine[i] * after_a[i] / path
            for n in range(cosine.size):
                m = mu[j] / cosine[n]
                seen = _between(b[k], m, after_b[k], np.exp(-m * mass), mass)
                gained[k] += made * 0.5 * weight[n] * rising[n] * seen


@kernel
def _beyond(
    b: complex,
    after_b: complex,
    mass: float,
    legs: NDArray[np.complexfloating] | FloatArray,
) -> complex:
    """Part of a half-space's mutual integral whose source or target lies below a layer of `mass` (g/cm²).

    ½ ∫_0^1 dx/x [exp(-b T) S(a, m) / (b + m) + exp(-a T) S(b, m) / (a + m)],  S of `_between`; m = μ/x
    legs : shape (4, n_cosines), m, exp(-m T), ½ dx/x S(a, m), ½ dx/x exp(-a T) / (a + m).
    """
    total = 0.0 * b
    for n in range(legs.shape[1]):
        m = legs[0, n]
        total += after_b * legs[2, n] / (b + m) + legs[3, n] * _between(b, m, after_b, legs[1, n], mass)
    return total


@kernel
def _legs(
    a: NDArray[np.complexfloating] | FloatArray,
    mu: NDArray[np.complexfloating] | FloatArray,
    mass: float,
    cosine: FloatArray,
    weight: FloatArray,
) -> NDArray[np.complexfloating] | FloatArray:
    """`legs` of `_beyond` for pairs of a and μ, shape (4, n, n_cosines)."""
    legs = np.zeros((4, a.size, cosine.size), dtype=a.dtype)
    after_a = np.exp(-a * mass)
    for i in range(a.size):
        for n in range(cosine.size):
            m = mu[i] / cosine[n]
            after_m = np.exp(-m * mass)
            share = 0.5 * weight[n] / cosine[n]
            legs[0, i, n], legs[1, i, n] = m, after_m
            legs[2, i, n] = share * _between(a[i], m, after_a[i], after_m, mass)
            legs[3, i, n] = share * after_a[i] / (a[i] + m)
    return legs


@kernel
def scattering_beyond(
    before: NDArray[np.complexfloating] | FloatArray,
    after: NDArray[np.complexfloating] | FloatArray,
    mass: float,
    flux: FloatArray,
    a: FloatArray,
    b: FloatArray,
    compton_mu: FloatArray,
    rayleigh: FloatArray,
    compton: FloatArray,
    elastic_production: FloatArray,
    compton_production: FloatArray,
    line_group: IntArray,
    sin_in: float,
    sin_out: float,
    cosine: FloatArray,
    weight: FloatArray,
) -> None:
    """What `scattering_sums` has too much for a layer of `mass` (g/cm²), subtracted from `before` and `after`.

    Arguments as there; flux : tube photons per energy; cosine, weight : nodes of directions.
    """
    after_a, after_b = np.exp(-a * mass), np.exp(-b * mass)
    rayleigh_in = _legs(a, a * sin_in, mass, cosine, weight)
    compton_in = _legs(a, compton_mu, mass, cosine, weight)
    out = _legs(b, b * sin_out, mass, cosine, weight)
    for k in range(b.size):
        elastic, inelastic = elastic_production[line_group[k]], compton_production[line_group[k]]
        end = after_b[k]
        for i in range(a.size):
            if elastic[i] == 0.0 and inelastic[i] == 0.0:
                continue
            softest = min(min(a[i].real, b[k].real) * min(sin_in, sin_out), compton_mu[i].real)
            if (softest + min(a[i].real, b[k].real)) * mass > _OPAQUE:
                continue
            if elastic[i] > 0.0:
                legs = rayleigh_in[:, i]
                before[k] -= flux[i] * rayleigh[i] * elastic[i] * _beyond(b[k], end, mass, legs)
                legs = out[:, k]
                after[k] -= flux[i] * elastic[i] * _beyond(a[i], after_a[i], mass, legs)
            if inelastic[i] > 0.0:
                legs = compton_in[:, i]
                before[k] -= flux[i] * compton[i] * inelastic[i] * _beyond(b[k], end, mass, legs)
