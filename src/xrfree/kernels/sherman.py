"""Sums over exciting photons and exciting lines in Sherman's equation.

Definition   logarithms of secondary excitation depend only on (tube energy, exciting line) and on (exciting line,
             emitted line); terms of subshells that a photon cannot ionise are skipped.
Validation   tests/kernels/test_sherman.py: plain loops; tests/matrix/test_fundamental.py: integrals over both depths.
"""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels._kernel import F1, F2, F3, I1, F, entry, kernel, of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_OPAQUE = 21.0
"""Exponent beyond which what passes a layer is left out: less than 1e-9 of what enters it."""


@kernel
def _log_one_plus(x: float) -> float:
    """ln(1 + x) for x ≥ 0; the plain logarithm, twice as fast, where it loses nothing."""
    return log(1.0 + x) if x > 0.1 else log1p(x)


@kernel
def _left_over(attenuation: FloatArray, mass: float) -> FloatArray:
    """exp(-a T), what of each beam passes a layer."""
    left = np.zeros(attenuation.size)
    for i in range(left.size):
        left[i] = exp(-attenuation[i] * mass)
    return left


@entry(F2, F1, F1, F1, F2, I1)
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


@entry(F2, F1, F1, F1, I1, F2, I1)
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


@entry(F1, F1, F2, F1, F1, F1, F1, F1, F2, F2, I1, F, F)
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
    elastic_in = log1p(1.0 / sin_in)
    compton_in = np.zeros(a.size)
    for i in range(a.size):
        compton_in[i] = log1p(a[i] / compton_mu[i]) / a[i]
    for k in range(b.size):
        elastic, inelastic = elastic_production[line_group[k]], compton_production[line_group[k]]
        own = log1p(1.0 / sin_out) / b[k]
        for i in range(a.size):
            if elastic[i] > 0.0:
                mutual = elastic_in / a[i] + _log_one_plus(b[k] / (a[i] * sin_in)) / b[k]
                before[k] += 0.5 * geometry[k, i] * rayleigh[i] * elastic[i] * mutual
                out = _log_one_plus(a[i] / (b[k] * sin_out)) / a[i] + own
                after[k] += 0.5 * geometry[k, i] * elastic[i] * out
            if inelastic[i] > 0.0:
                mutual = compton_in[i] + _log_one_plus(b[k] / compton_mu[i]) / b[k]
                before[k] += 0.5 * geometry[k, i] * compton[i] * inelastic[i] * mutual


@kernel
def _lambda_slopes(x: float, mu: float) -> tuple[float, float, float]:
    """λ = ln(1 + x/μ) / x and its derivatives by x and by μ."""
    value = _log_one_plus(x / mu) / x
    total = 1.0 / (x + mu)
    return value, (total - value) / x, -total / mu


@entry(F3, F1, F1, F2, I1)
def inward_slopes(out: FloatArray, a: FloatArray, mu: FloatArray, production: FloatArray, group: IntArray) -> None:
    """F_j λ(a, μ_j) and its derivatives by a and by μ, shape (3, n_exciting, n_energies); `out` starts at 0."""
    for j in range(mu.size):
        mine = production[group[j]]
        for i in range(a.size):
            if mine[i] > 0.0:
                value, by_a, by_mu = _lambda_slopes(a[i], mu[j])
                out[0, j, i], out[1, j, i], out[2, j, i] = mine[i] * value, mine[i] * by_a, mine[i] * by_mu


@entry(F2, F1, F2, F2, F1, F1, F1, I1, F2, I1, F2)
def outward_slopes(
    outward: FloatArray,
    by_b: FloatArray,
    by_mu: FloatArray,
    by_strength: FloatArray,
    b: FloatArray,
    mu: FloatArray,
    strength: FloatArray,
    group: IntArray,
    excited: FloatArray,
    line_group: IntArray,
    shells: FloatArray,
) -> None:
    """`outward_sums` with the derivatives of Σ_j s_j F_l(E_j) D_j λ(b_l, μ_j); all outputs start at 0.

    by_b : shape (n_lines,); by_mu, by_strength : shape (n_lines, n_exciting).
    shells : D, decays of every group as each line sees them, shape (n_lines, n_groups).
    """
    for k in range(b.size):
        mine = excited[line_group[k]]
        for j in range(mu.size):
            if mine[j] > 0.0:
                value, slope, slope_mu = _lambda_slopes(b[k], mu[j])
                made, seen = strength[j] * mine[j], shells[k, group[j]]
                outward[k, group[j]] += made * value
                by_b[k] += made * seen * slope
                by_mu[k, j] = made * seen * slope_mu
                by_strength[k, j] = mine[j] * seen * value


@entry(of(F2, 4), F2, F2, F2, F2, of(F1, 3), of(F1, 2), F2, F2, I1, F, F)
def scattering_slopes(
    before: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    after: FloatArray,
    line: FloatArray,
    escape: FloatArray,
    slope: FloatArray,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    cross_section: tuple[FloatArray, FloatArray],
    elastic_production: FloatArray,
    compton_production: FloatArray,
    line_group: IntArray,
    sin_in: float,
    sin_out: float,
) -> None:
    """Derivatives of `scattering_sums`, all outputs starting at 0.

    before : ∂/∂a, ∂/∂μ (after Compton scattering), ∂/∂σ_Rayleigh, ∂/∂σ_Compton; after : ∂/∂a; (n_lines, n_energies).
    line : shape (3, n_lines), ∂before/∂b, ∂after/∂b and the value of `after`.
    escape, slope : A and dA/d(a + b) without flux; productions with flux.
    attenuation : a, b, μ after Compton scattering; cross_section : Rayleigh, Compton of the tube's photons.
    """
    a, b, compton_mu = attenuation
    rayleigh, compton = cross_section
    by_a, by_mu, by_rayleigh, by_compton = before
    elastic_in = log1p(1.0 / sin_in)
    own = log1p(1.0 / sin_out)
    for k in range(b.size):
        elastic, inelastic = elastic_production[line_group[k]], compton_production[line_group[k]]
        for i in range(a.size):
            p, dp = 0.5 * escape[k, i], 0.5 * slope[k, i]
            if elastic[i] > 0.0:
                value, by_b, by_m = _lambda_slopes(b[k], a[i] * sin_in)
                mutual = elastic_in / a[i] + value
                made = rayleigh[i] * elastic[i]
                by_rayleigh[k, i] = elastic[i] * p * mutual
                by_a[k, i] += made * (dp * mutual + p * (by_m * sin_in - elastic_in / (a[i] * a[i])))
                line[0, k] += made * (dp * mutual + p * by_b)
                value, by_in, by_m = _lambda_slopes(a[i], b[k] * sin_out)
                mutual = value + own / b[k]
                after[k, i] = elastic[i] * (dp * mutual + p * by_in)
                line[1, k] += elastic[i] * (dp * mutual + p * (by_m * sin_out - own / (b[k] * b[k])))
                line[2, k] += elastic[i] * p * mutual
            if inelastic[i] > 0.0:
                value, by_b, by_m = _lambda_slopes(b[k], compton_mu[i])
                inward, by_in, by_m_in = _lambda_slopes(a[i], compton_mu[i])
                mutual = inward + value
                made = compton[i] * inelastic[i]
                by_compton[k, i] = inelastic[i] * p * mutual
                by_a[k, i] += made * (dp * mutual + p * by_in)
                by_mu[k, i] = made * p * (by_m + by_m_in)
                line[0, k] += made * (dp * mutual + p * by_b)


@kernel
def _between(a: float, m: float, after_a: float, after_m: float, mass: float) -> tuple[float, float, float]:
    """S = ∫_0^T exp(-a z) exp(-m (T - z)) dz = (exp(-a T) - exp(-m T)) / (m - a), and its derivatives by a and m.

    mass : T; after_a, after_m : exp(-a T), exp(-m T). Series where the two exponentials are nearly equal.
    """
    difference = m - a
    x = difference * mass
    if abs(x) > 1e-2:
        value = (after_a - after_m) / difference
        return value, (value - mass * after_a) / difference, (mass * after_m - value) / difference
    one = mass * after_a
    two = -one * mass
    value = one * (1.0 - x * (0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x / 120.0))))
    by_a = two * (0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x / 120.0)))
    by_m = two * (0.5 - x * (1.0 / 3.0 - x * (1.0 / 8.0 - x / 30.0)))
    return value, by_a, by_m


@entry(F1, F2, of(F1, 3), of(F2, 3), F, F1, F2, F2, I1, F2, I1, F1, F1)
def lost_downwards(
    lost: FloatArray,
    lost_tangent: FloatArray,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    tangent: tuple[FloatArray, FloatArray, FloatArray],
    mass: float,
    strength: FloatArray,
    strength_tangent: FloatArray,
    production: FloatArray,
    group: IntArray,
    excited: FloatArray,
    line_group: IntArray,
    cosine: FloatArray,
    weight: FloatArray,
) -> None:
    """What a half-space would add to each line by its own lines that leave a layer of `mass` (g/cm²) downwards.

    Σ_j s_j F_l(E_j) exp(-b T) ½ ∫_0^1 dx S(a, m) / (b x + μ_j),  S of `_between` summed over N F_j(E),  m = μ_j / x

    lost, lost_tangent : shapes (n_lines,) and (n_lines, n_tangents), added to.
    attenuation, tangent : a, b, μ, and their derivatives, shapes (n, n_tangents); none are wanted where that is 0.
    strength, strength_tangent : s_j; production : shape (n_groups, n_energies), N F; cosine, weight : nodes of x.
    """
    a, b, mu = attenuation
    a_tangent, b_tangent, mu_tangent = tangent
    n_tangents = lost_tangent.shape[1]
    after_a, after_b = _left_over(a, mass), _left_over(b, mass)
    for j in range(mu.size):
        if strength[j] == 0.0 and n_tangents == 0:
            continue
        mine = production[group[j]]
        softest = mu[j]
        for i in range(a.size):
            if mine[i] > 0.0:
                softest = min(softest, a[i])
        ready = False
        leaving = np.zeros(cosine.size)
        leaving_tangent = np.zeros((cosine.size, n_tangents))
        for k in range(b.size):
            each = excited[line_group[k], j]
            if each == 0.0 or (b[k] + softest) * mass > _OPAQUE:
                continue
            if not ready:
                ready = True
                for n in range(cosine.size):
                    m = mu[j] / cosine[n]
                    after_m = exp(-m * mass)
                    for i in range(a.size):
                        if mine[i] > 0.0:
                            value, by_a, by_m = _between(a[i], m, after_a[i], after_m, mass)
                            leaving[n] += mine[i] * value
                            for t in range(n_tangents):
                                change = by_a * a_tangent[i, t] + by_m * mu_tangent[j, t] / cosine[n]
                                leaving_tangent[n, t] += mine[i] * change
            for n in range(cosine.size):
                path = b[k] * cosine[n] + mu[j]
                share = each * after_b[k] * 0.5 * weight[n] / path
                lost[k] += strength[j] * share * leaving[n]
                for t in range(n_tangents):
                    fading = mass * b_tangent[k, t] + (b_tangent[k, t] * cosine[n] + mu_tangent[j, t]) / path
                    change = strength_tangent[j, t] * leaving[n]
                    change += strength[j] * (leaving_tangent[n, t] - leaving[n] * fading)
                    lost_tangent[k, t] += share * change


@entry(F1, F2, of(F1, 3), of(F2, 3), of(F1, 2), of(F2, 2), F, F1, F2, F2, I1, F2, I1, F1, F1)
def gained_upwards(
    gained: FloatArray,
    gained_tangent: FloatArray,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    tangent: tuple[FloatArray, FloatArray, FloatArray],
    below: tuple[FloatArray, FloatArray],
    below_tangent: tuple[FloatArray, FloatArray],
    mass: float,
    strength: FloatArray,
    strength_tangent: FloatArray,
    production: FloatArray,
    group: IntArray,
    excited: FloatArray,
    line_group: IntArray,
    cosine: FloatArray,
    weight: FloatArray,
) -> None:
    """What the lines of a half-space under a layer of `mass` (g/cm²) add to each line of the layer.

    Σ_j s_j F_l(E_j) ½ ∫_0^1 dx Σ_E N F_j exp(-a T) / (a' x + μ'_j) S(b, m),  S of `_between`,  m = μ_j / x

    below, below_tangent : a', μ'_j of the half-space, as is `strength` s_j; the rest as in `lost_downwards`.
    """
    a, b, mu = attenuation
    a_tangent, b_tangent, mu_tangent = tangent
    below_a, below_mu = below
    below_a_tangent, below_mu_tangent = below_tangent
    n_tangents = gained_tangent.shape[1]
    after_a, after_b = _left_over(a, mass), _left_over(b, mass)
    for j in range(mu.size):
        if strength[j] == 0.0 and n_tangents == 0:
            continue
        mine = production[group[j]]
        softest = np.inf
        for i in range(a.size):
            if mine[i] > 0.0:
                softest = min(softest, a[i])
        ready = False
        rising = np.zeros(cosine.size)
        rising_tangent = np.zeros((cosine.size, n_tangents))
        after_m = np.zeros(cosine.size)
        for n in range(cosine.size):
            after_m[n] = exp(-mu[j] / cosine[n] * mass)
        for k in range(b.size):
            each = excited[line_group[k], j]
            if each == 0.0 or (softest + min(b[k], mu[j])) * mass > _OPAQUE:
                continue
            if not ready:
                ready = True
                for n in range(cosine.size):
                    for i in range(a.size):
                        if mine[i] > 0.0:
                            path = below_a[i] * cosine[n] + below_mu[j]
                            arriving = mine[i] * after_a[i] / path
                            rising[n] += arriving
                            for t in range(n_tangents):
                                longer = below_a_tangent[i, t] * cosine[n] + below_mu_tangent[j, t]
                                rising_tangent[n, t] -= arriving * (mass * a_tangent[i, t] + longer / path)
            for n in range(cosine.size):
                m = mu[j] / cosine[n]
                value, by_b, by_m = _between(b[k], m, after_b[k], after_m[n], mass)
                share = each * 0.5 * weight[n]
                gained[k] += strength[j] * share * rising[n] * value
                for t in range(n_tangents):
                    seen = by_b * b_tangent[k, t] + by_m * mu_tangent[j, t] / cosine[n]
                    change = strength[j] * (rising_tangent[n, t] * value + rising[n] * seen)
                    gained_tangent[k, t] += share * (change + strength_tangent[j, t] * rising[n] * value)


@kernel
def _legs(a: FloatArray, mu: FloatArray, mass: float, cosine: FloatArray, weight: FloatArray) -> FloatArray:
    """What `_beyond` needs of pairs of a and μ, shape (n, 8, n_cosines).

    With m = μ/x, S of `_between` and U = exp(-a T) / (a + m): m, exp(-m T), S, U, ∂S/∂a, ∂U/∂a, ∂S/∂m, ∂U/∂m, the last
    six times ½ dx/x.
    """
    legs = np.zeros((a.size, 8, cosine.size))
    after_a = _left_over(a, mass)
    for i in range(a.size):
        for n in range(cosine.size):
            m = mu[i] / cosine[n]
            after_m = exp(-m * mass)
            share = 0.5 * weight[n] / cosine[n]
            value, by_a, by_m = _between(a[i], m, after_a[i], after_m, mass)
            up = after_a[i] / (a[i] + m)
            legs[i, 0, n], legs[i, 1, n] = m, after_m
            legs[i, 2, n], legs[i, 3, n] = share * value, share * up
            legs[i, 4, n], legs[i, 5, n] = share * by_a, -share * up * (mass + 1.0 / (a[i] + m))
            legs[i, 6, n], legs[i, 7, n] = share * by_m, -share * up / (a[i] + m)
    return legs


@kernel
def _beyond(b: float, after_b: float, mu: float, mass: float, legs: FloatArray) -> tuple[float, float, float, float]:
    """Part of a half-space's mutual integral whose source or target lies below a layer of `mass` (g/cm²).

    ½ ∫_0^1 dx/x [exp(-b T) S(a, m) / (b + m) + exp(-a T) S(b, m) / (a + m)], and its derivatives by a, b and μ
    """
    total, total_a, total_b, total_m = 0.0, 0.0, 0.0, 0.0
    for n in range(legs.shape[1]):
        m = legs[0, n]
        value, by_b, by_m = _between(b, m, after_b, legs[1, n], mass)
        down = after_b / (b + m)
        total += down * legs[2, n] + legs[3, n] * value
        total_a += down * legs[4, n] + legs[5, n] * value
        total_b += legs[3, n] * by_b - down * legs[2, n] * (mass + 1.0 / (b + m))
        change = down * (legs[6, n] - legs[2, n] / (b + m)) + legs[7, n] * value + legs[3, n] * by_m
        total_m += change * m / mu
    return total, total_a, total_b, total_m


@entry(F1, F1, F2, F2, F, F1, of(F1, 3), of(F2, 3), of(F1, 2), of(F2, 2), F2, F2, I1, F, F, F1, F1)
def scattering_beyond(
    before: FloatArray,
    after: FloatArray,
    before_tangent: FloatArray,
    after_tangent: FloatArray,
    mass: float,
    flux: FloatArray,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    tangent: tuple[FloatArray, FloatArray, FloatArray],
    cross_section: tuple[FloatArray, FloatArray],
    cross_section_tangent: tuple[FloatArray, FloatArray],
    elastic_production: FloatArray,
    compton_production: FloatArray,
    line_group: IntArray,
    sin_in: float,
    sin_out: float,
    cosine: FloatArray,
    weight: FloatArray,
) -> None:
    """What `scattering_sums` has too much for a layer of `mass` (g/cm²), with its derivatives along tangents.

    before, after : shape (n_lines,), added to; their tangents (n_lines, n_tangents), none are wanted where that is 0.
    flux : tube photons per energy; attenuation : a, b, μ after Compton scattering; cross_section : Rayleigh, Compton
    of the tube's photons; their tangents (n, n_tangents); cosine, weight : nodes of directions.
    """
    a, b, compton_mu = attenuation
    a_tangent, b_tangent, mu_tangent = tangent
    rayleigh, compton = cross_section
    rayleigh_tangent, compton_tangent = cross_section_tangent
    n_tangents = before_tangent.shape[1]
    after_a, after_b = _left_over(a, mass), _left_over(b, mass)
    rayleigh_in = _legs(a, a * sin_in, mass, cosine, weight)
    compton_in = _legs(a, compton_mu, mass, cosine, weight)
    out = _legs(b, b * sin_out, mass, cosine, weight)
    for k in range(b.size):
        elastic, inelastic = elastic_production[line_group[k]], compton_production[line_group[k]]
        for i in range(a.size):
            if elastic[i] == 0.0 and inelastic[i] == 0.0:
                continue
            softest = min(min(a[i], b[k]) * min(sin_in, sin_out), compton_mu[i])
            if (softest + min(a[i], b[k])) * mass > _OPAQUE:
                continue
            if elastic[i] > 0.0:
                made = flux[i] * elastic[i]
                value, by_a, by_b, by_mu = _beyond(b[k], after_b[k], a[i] * sin_in, mass, rayleigh_in[i])
                by_a += by_mu * sin_in
                end, end_b, end_a, end_mu = _beyond(a[i], after_a[i], b[k] * sin_out, mass, out[k])
                end_b += end_mu * sin_out
                before[k] += made * rayleigh[i] * value
                after[k] += made * end
                for t in range(n_tangents):
                    change = by_a * a_tangent[i, t] + by_b * b_tangent[k, t]
                    before_tangent[k, t] += made * (rayleigh[i] * change + rayleigh_tangent[i, t] * value)
                    after_tangent[k, t] += made * (end_a * a_tangent[i, t] + end_b * b_tangent[k, t])
            if inelastic[i] > 0.0:
                made = flux[i] * inelastic[i]
                value, by_a, by_b, by_mu = _beyond(b[k], after_b[k], compton_mu[i], mass, compton_in[i])
                before[k] += made * compton[i] * value
                for t in range(n_tangents):
                    change = by_a * a_tangent[i, t] + by_b * b_tangent[k, t] + by_mu * mu_tangent[i, t]
                    before_tangent[k, t] += made * (compton[i] * change + compton_tangent[i, t] * value)
