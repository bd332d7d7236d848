"""Many spectra of one instrument fitted in one call: normal equations, damping, covariance.

Definition   Poisson maximum likelihood as in `xrfree.fit.solve`. Line shapes come as cumulative counts at the channel
             edges with their derivatives at one energy scale and resolution; what a spectrum's own scale and resolution
             change is Taylor's series, fourth order in shift, second in width. The caller takes care that it holds.
Validation   tests/fit/test_block.py: the numbers of the single fit.
"""

from __future__ import annotations

from math import isnan, log, sqrt

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels._kernel import B1, F1, F2, F3, I1, F, I, entry, kernel, summing

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST = 1e-2
_SAME_OBJECTIVE = 1e-3
_TRIALS = 6
_BAD_START = 5.0
"""Objective per channel of a start above which the first step is weighted by the counts."""


@kernel
def factorise(matrix: FloatArray, failed: NDArray[np.bool_]) -> None:
    """Cholesky factors L of many matrices at once, in place in the lower triangles, shape (n, n, n_spectra).

    failed : shape (n_spectra,), set where a matrix is not positive definite.
    """
    n, n_spectra = matrix.shape[0], matrix.shape[2]
    for j in range(n):
        for k in range(j):
            for s in range(n_spectra):
                matrix[j, j, s] -= matrix[j, k, s] * matrix[j, k, s]
        for s in range(n_spectra):
            if not matrix[j, j, s] > 0.0:
                failed[s] = True
                matrix[j, j, s] = 1.0
        for s in range(n_spectra):
            matrix[j, j, s] = sqrt(matrix[j, j, s])
        for i in range(j + 1, n):
            for k in range(j):
                for s in range(n_spectra):
                    matrix[i, j, s] -= matrix[i, k, s] * matrix[j, k, s]
            for s in range(n_spectra):
                matrix[i, j, s] /= matrix[j, j, s]


@kernel
def solve_factored(factor: FloatArray, right: FloatArray) -> None:
    """Solve L Lᵀ x = right in place for many; right : shape (n, n_spectra)."""
    n, n_spectra = right.shape
    for i in range(n):
        for k in range(i):
            for s in range(n_spectra):
                right[i, s] -= factor[i, k, s] * right[k, s]
        for s in range(n_spectra):
            right[i, s] /= factor[i, i, s]
    for i in range(n - 1, -1, -1):
        for s in range(n_spectra):
            right[i, s] /= factor[i, i, s]
        for k in range(i):
            for s in range(n_spectra):
                right[k, s] -= factor[i, k, s] * right[i, s]


@kernel
def inverse_of(factor: FloatArray, inverse: FloatArray) -> None:
    """(L Lᵀ)⁻¹ of many factors, the lower triangle; the factor is replaced by L⁻¹."""
    n, n_spectra = factor.shape[0], factor.shape[2]
    for i in range(n):
        for s in range(n_spectra):
            factor[i, i, s] = 1.0 / factor[i, i, s]
        for j in range(i):
            # Row i is L at the places still to be done, and L⁻¹ before them.
            for s in range(n_spectra):
                factor[i, j, s] *= factor[j, j, s]
            for k in range(j + 1, i):
                for s in range(n_spectra):
                    factor[i, j, s] += factor[i, k, s] * factor[k, j, s]
        for j in range(i):
            for s in range(n_spectra):
                factor[i, j, s] *= -factor[i, i, s]
    for i in range(n):
        for j in range(i + 1):
            for s in range(n_spectra):
                inverse[i, j, s] = 0.0
            for k in range(i, n):
                for s in range(n_spectra):
                    inverse[i, j, s] += factor[k, i, s] * factor[k, j, s]


@kernel
def steps(
    step: FloatArray,
    length: FloatArray,
    factor: FloatArray,
    scale: FloatArray,
    information: FloatArray,
    gradient: FloatArray,
    held: NDArray[np.bool_],
) -> None:
    """Steps of the parameters that are not held, and their length in standard uncertainties; NaN for singular ones.

    The length √(stepᵀ A step) is at least that of any one parameter.
    step, scale, gradient, held : shape (n, n_spectra); length : shape (n_spectra,); information : lower triangles A.
    factor, scale : Cholesky factors of A in units that make its diagonal 1, and these units; 1 and 0 for what is held.
    """
    n, n_spectra = step.shape
    failed = np.zeros(n_spectra, dtype=np.bool_)
    for i in range(n):
        for s in range(n_spectra):
            scale[i, s] = 0.0
            if not held[i, s]:
                if information[i, i, s] > 0.0:
                    scale[i, s] = 1.0 / sqrt(information[i, i, s])
                else:
                    failed[s] = True
        for j in range(i + 1):
            for s in range(n_spectra):
                factor[i, j, s] = information[i, j, s] * scale[i, s] * scale[j, s]
        for s in range(n_spectra):
            if scale[i, s] == 0.0:
                factor[i, i, s] = 1.0
            step[i, s] = gradient[i, s] * scale[i, s]
    factorise(factor, failed)
    solve_factored(factor, step)
    for s in range(n_spectra):
        length[s] = 0.0
    for i in range(n):
        for s in range(n_spectra):
            step[i, s] *= scale[i, s]
            length[s] += gradient[i, s] * step[i, s]
    for s in range(n_spectra):
        length[s] = np.nan if failed[s] else sqrt(max(length[s], 0.0))


@kernel
def _covariances(
    covariance: FloatArray, sigma: FloatArray, factor: FloatArray, scale: FloatArray, length: FloatArray
) -> None:
    """Covariances of the first parameters with all, and standard uncertainties, 0 for what is held or singular.

    covariance : shape (n_spectra, n_kept, n); sigma : shape (n_spectra, n); the rest as in `steps`.
    """
    n, n_spectra = scale.shape
    inverse = np.zeros((n, n, n_spectra))
    inverse_of(factor, inverse)
    n_kept = covariance.shape[1]
    for s in range(n_spectra):
        if isnan(length[s]):
            continue
        for i in range(n):
            sigma[s, i] = sqrt(inverse[i, i, s]) * scale[i, s]
            for j in range(min(i + 1, n_kept)):
                covariance[s, j, i] = inverse[i, j, s] * scale[i, s] * scale[j, s]
                if i < n_kept:
                    covariance[s, i, j] = covariance[s, j, i]


@entry(F3, I1, F3, F2)
def covariances_alone(counting: FloatArray, own: IntArray, information: FloatArray, scale: FloatArray) -> None:
    """Covariances of the parameters `own` if all others were known, into `counting`, shape (n_spectra, n_kept, n_kept).

    own : some of the first n_kept; information, scale : as in `steps`; what is held there is known.
    """
    n, n_spectra = own.size, scale.shape[1]
    factor, inverse = np.zeros((n, n, n_spectra)), np.zeros((n, n, n_spectra))
    failed = np.zeros(n_spectra, dtype=np.bool_)
    for i in range(n):
        for j in range(i + 1):
            for s in range(n_spectra):
                factor[i, j, s] = information[own[i], own[j], s] * scale[own[i], s] * scale[own[j], s]
        for s in range(n_spectra):
            if scale[own[i], s] == 0.0:
                factor[i, i, s] = 1.0
    factorise(factor, failed)
    inverse_of(factor, inverse)
    for s in range(n_spectra):
        if failed[s]:
            continue
        for i in range(n):
            for j in range(i + 1):
                found = inverse[i, j, s] * scale[own[i], s] * scale[own[j], s]
                counting[s, own[i], own[j]] = counting[s, own[j], own[i]] = found


@kernel
def _deviance(counts: FloatArray, expected: FloatArray, used: FloatArray) -> float:
    """2 Σ [μ - n + n ln(n/μ)] over the channels that are used."""
    total = 0.0
    for i in range(counts.size):
        if used[i] == 0.0:
            continue
        mu = max(expected[i], _LEAST)
        total += mu - counts[i]
        if counts[i] > 0.0:
            total += counts[i] * log(counts[i] / mu)
    return 2.0 * total


@kernel
def _away(values: FloatArray, mean: FloatArray, precision: FloatArray) -> float:
    """(p - m)ᵀ P (p - m)."""
    total = 0.0
    for i in range(values.size):
        row = 0.0
        for j in range(values.size):
            row += precision[i, j] * (values[j] - mean[j])
        total += (values[i] - mean[i]) * row
    return total


@kernel
def _amplitudes(amplitude: FloatArray, values: FloatArray, linear: IntArray, ratio: IntArray, unit: FloatArray) -> None:
    """Factor of every column: p_linear / strength, times 1 + p_ratio where it has one."""
    for c in range(amplitude.size):
        amplitude[c] = values[linear[c]] * unit[c]
        if ratio[c] >= 0:
            amplitude[c] *= 1.0 + values[ratio[c]]


@kernel
def _totals(
    total: FloatArray, amplitude: FloatArray, fields: FloatArray, first: IntArray, last: IntArray, n_lines: int
) -> None:
    """Sum of amplitude times every field over all columns; of smooth columns, after n_lines, the first four fields.

    first, last : edges where a column's counts are; its cumulative counts are 0 below and stay above.
    """
    n_edges = total.shape[1]
    total[:, :] = 0.0
    above = np.zeros(n_edges + 1)
    for c in range(first.size):
        low, high = first[c], last[c]
        for f in range(total.shape[0] if c < n_lines else 4):
            _add_scaled(total[f, low:high], fields[c, f, low:high], amplitude[c])
        above[high] += amplitude[c] * fields[c, 0, high - 1]
    running = 0.0
    for i in range(n_edges):
        running += above[i]
        total[0, i] += running


@kernel
def _add_scaled(out: FloatArray, what: FloatArray, factor: float) -> None:
    for i in range(out.size):
        out[i] += factor * what[i]


@kernel
def _moved(
    shape: FloatArray,
    field: FloatArray,
    low: int,
    high: int,
    shift: FloatArray,
    energy: FloatArray,
    noise: float,
    fano: float,
    escape: float,
) -> None:
    """Cumulative counts after shift and broadening, at the edges from low to high.

    F + δF' + δ²A + δ³A'/3 + δ⁴A''/12 + n (A + δA' + δ²A''/2) + f (B + δB' + δ²B''/2)
      + n²A''/4 + nf B''/2 + f² E B''/4 + x X
    field : rows F, F', A = ½F'', B (A weighted by line energy), A', B', A'', B'', X (escape peaks).
    A line's counts lie near its energy, so that its energy is the edge's in the last term but one.
    """
    # Parts of arrays, so that every index is known to count from the start, and two loops, each over few enough arrays:
    # the compiler then uses vectors.
    out, d, e = shape[low:high], shift[low:high], energy[low:high]
    cumulative, slope, wider, bend = field[0, low:high], field[1, low:high], field[2, low:high], field[4, low:high]
    wider_e, bend_e, escaped = field[3, low:high], field[5, low:high], field[8, low:high]
    turn, turn_e = field[6, low:high], field[7, low:high]
    for i in range(out.size):
        out[i] = (
            cumulative[i]
            + d[i] * (slope[i] + d[i] * (wider[i] + d[i] * (bend[i] / 3.0 + d[i] * turn[i] / 12.0)))
            + noise * (wider[i] + d[i] * (bend[i] + 0.5 * d[i] * turn[i]) + 0.25 * noise * turn[i])
        )
    for i in range(out.size):
        out[i] += (
            fano * (wider_e[i] + d[i] * (bend_e[i] + 0.5 * d[i] * turn_e[i]) + 0.25 * fano * e[i] * turn_e[i])
            + 0.5 * noise * fano * turn_e[i]
            + escape * escaped[i]
        )


@kernel
def _add_difference(row: FloatArray, shape: FloatArray, root: FloatArray, scale: float) -> None:
    """Add scale × weight × counts to a row; shape : cumulative counts, one more than `row`."""
    for i in range(row.size):
        row[i] += scale * root[i] * (shape[i + 1] - shape[i])


@kernel
def _scale_rows(
    weighted: FloatArray,
    total: FloatArray,
    work: FloatArray,
    shift: FloatArray,
    energy: FloatArray,
    channel: FloatArray,
    root: FloatArray,
    noise: float,
    fano: float,
    per_unit: FloatArray,
    special: IntArray,
) -> None:
    """Weighted derivatives by energy scale, resolution and escape: those of `_moved`."""
    slope, wider, wider_e, escaped = total[1], total[2], total[3], total[8]
    bend, bend_e, turn, turn_e = total[4], total[5], total[6], total[7]
    by_energy, by_gain, by_noise, by_fano = work[0], work[1], work[2], work[3]
    for i in range(shift.size):
        d = shift[i]
        by_energy[i] = slope[i] + d * (2.0 * wider[i] + d * (bend[i] + d * turn[i] / 3.0))
        by_energy[i] += noise * (bend[i] + d * turn[i])
    for i in range(shift.size):
        by_energy[i] += fano * (bend_e[i] + shift[i] * turn_e[i])
        by_gain[i] = channel[i] * by_energy[i]
    for i in range(shift.size):
        d = shift[i]
        by_noise[i] = wider[i] + d * (bend[i] + 0.5 * d * turn[i]) + 0.5 * (noise * turn[i] + fano * turn_e[i])
    for i in range(shift.size):
        d = shift[i]
        by_fano[i] = wider_e[i] + d * (bend_e[i] + 0.5 * d * turn_e[i]) + 0.5 * (noise + fano * energy[i]) * turn_e[i]
    _add_difference(weighted[special[0]], by_energy, root, 1.0)
    _add_difference(weighted[special[1]], by_gain, root, per_unit[0])
    _add_difference(weighted[special[2]], by_noise, root, per_unit[1])
    _add_difference(weighted[special[3]], by_fano, root, per_unit[2])
    if special[4] >= 0:
        _add_difference(weighted[special[4]], escaped, root, per_unit[3])


@kernel
def _ranges(low: IntArray, high: IntArray, first: IntArray, last: IntArray, linear: IntArray, ratio: IntArray) -> None:
    """Channels where the rows of derivatives that belong to columns are not 0, changed in place."""
    for c in range(first.size):
        for j in (linear[c], ratio[c]):
            if j >= 0:
                low[j] = min(low[j], first[c])
                high[j] = max(high[j], last[c] - 1)


@summing
def _products(
    one: FloatArray, two: FloatArray, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray
) -> tuple[float, float, float, float, float, float, float, float]:
    """Sums of products of either of two rows with each of four."""
    one_a = one_b = one_c = one_d = two_a = two_b = two_c = two_d = 0.0
    for i in range(one.size):
        one_a += one[i] * a[i]
        one_b += one[i] * b[i]
        one_c += one[i] * c[i]
        one_d += one[i] * d[i]
        two_a += two[i] * a[i]
        two_b += two[i] * b[i]
        two_c += two[i] * c[i]
        two_d += two[i] * d[i]
    return one_a, one_b, one_c, one_d, two_a, two_b, two_c, two_d


@summing
def _product(one: FloatArray, other: FloatArray) -> float:
    """Sum of products of two rows."""
    total = 0.0
    for i in range(one.size):
        total += one[i] * other[i]
    return total


@kernel
def normal_matrix(matrix: FloatArray, s: int, rows: FloatArray, low: IntArray, high: IntArray) -> None:
    """W Wᵀ as matrix s, shape (n, n, n_spectra), its lower triangle; two rows times four at a time.

    low, high : rows of W, shape (n, n_channels), are 0 outside them.
    """
    n = rows.shape[0]
    for i in range(0, n, 2):
        k = min(i + 1, n - 1)
        for j in range(0, k + 1, 4):
            b, c, d = min(j + 1, k), min(j + 2, k), min(j + 3, k)
            left = max(min(low[i], low[k]), min(min(low[j], low[b]), min(low[c], low[d])))
            right = min(max(high[i], high[k]), max(max(high[j], high[b]), max(high[c], high[d])))
            right = max(left, right)
            found = _products(
                rows[i, left:right],
                rows[k, left:right],
                rows[j, left:right],
                rows[b, left:right],
                rows[c, left:right],
                rows[d, left:right],
            )
            matrix[i, j, s], matrix[i, b, s], matrix[i, c, s], matrix[i, d, s] = found[0], found[1], found[2], found[3]
            matrix[k, j, s], matrix[k, b, s], matrix[k, c, s], matrix[k, d, s] = found[4], found[5], found[6], found[7]


@kernel
def _with_priors(
    information: FloatArray,
    gradient: FloatArray,
    s: int,
    values: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
) -> None:
    """Add the priors to the normal equations of spectrum s."""
    for i in range(mean.size):
        for j in range(i + 1):
            information[i, j, s] += precision[i, j]
        for j in range(mean.size):
            gradient[i, s] -= precision[i, j] * (values[j] - mean[j])


@entry(F2, F2, F3, F3, F2, F1, F1, F2, F2, F1, F3, I1, I1, F1, F1, I1, I1, F1, I, I1, F1, F1, F1, F2, B1, F1, F, I)
def fit_block(
    values: FloatArray,
    sigma: FloatArray,
    covariance: FloatArray,
    information: FloatArray,
    scale: FloatArray,
    deviance: FloatArray,
    largest_step: FloatArray,
    counts: FloatArray,
    pile_up: FloatArray,
    used: FloatArray,
    fields: FloatArray,
    first: IntArray,
    last: IntArray,
    channel: FloatArray,
    energy: FloatArray,
    linear: IntArray,
    ratio: IntArray,
    unit: FloatArray,
    n_lines: int,
    special: IntArray,
    reference: FloatArray,
    per_unit: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
    fixed: NDArray[np.bool_],
    lower: FloatArray,
    tolerance: float,
    most: int,
) -> None:
    """Fit every spectrum of a block; all take a step at a time together.

    Results, changed in place: values, shape (n_spectra, n_parameters), start values before; sigma, the same shape;
    covariance, shape (n_spectra, n_kept, n_parameters), of the first n_kept parameters with all; information, scale, as
    in `steps`; deviance, largest_step (length of the last step; NaN for a singular problem), shape (n_spectra,).
    counts, pile_up : shape (n_spectra, n_channels); pile_up of the stated pulse-pair time.
    used : shape (n_channels,), 1 for channels that take part, else 0.
    fields : shape (n_columns, 9, n_channels + 1), see `_moved`; first, last : edges where each column's counts are.
    channel, energy : channel number and energy (keV) of every edge.
    linear, ratio, unit : of each column the parameter it is in proportion to, its line ratio or -1, and its unit.
    special : places of zero, gain, noise, fano, escape and pile_up among the parameters, -1 where there is none.
    reference : values of the first five at which the fields hold; per_unit : keV per channel, and change of noise²,
        F ε and escape scale for a relative change of 1.
    mean, precision, fixed, lower : priors and bounds of the parameters.
    The derivatives by columns beyond n_lines, which are smooth, are taken as they are at the reference.
    A start that explains the counts badly is improved with weights from the counts themselves first.
    """
    n_spectra, n_par, n, n_columns = values.shape[0], values.shape[1], counts.shape[1], first.size
    amplitude = np.zeros(n_columns)
    total, work = np.zeros((9, n + 1)), np.zeros((4, n + 1))
    shift, shape = np.zeros(n + 1), np.zeros(n + 1)
    weighted = np.zeros((n_par, n))
    expected, root, rest = np.zeros(n), np.zeros(n), np.zeros(n)
    factor, gradient, step = np.zeros(information.shape), np.zeros((n_par, n_spectra)), np.zeros((n_par, n_spectra))
    held = np.zeros((n_par, n_spectra), dtype=np.bool_)
    trial, moves, objective = np.zeros(n_par), np.zeros(5), np.zeros(n_spectra)
    done = np.zeros(n_spectra, dtype=np.bool_)
    low, high = np.zeros(n_par, dtype=np.int64), np.zeros(n_par, dtype=np.int64)
    for j in range(n_par):
        low[j] = n
    _ranges(low, high, first, last, linear, ratio)
    for s in range(n_spectra):
        largest_step[s] = np.inf
    for k in special:
        if k >= 0:
            low[k], high[k] = 0, n
    ip = special[5]
    n_used = 0.0
    for i in range(n):
        n_used += used[i]
    for iteration in range(most + 1):
        pending = False
        for s in range(n_spectra):
            if done[s]:
                continue
            p = values[s]
            last_look = iteration == most or not largest_step[s] >= tolerance
            for j in range(n_par):
                trial[j] = p[j]
                p[j] = max(p[j] + step[j, s], lower[j])
            # Expected counts at p; a step that makes the objective worse is shortened.
            for attempt in range(_TRIALS):
                _amplitudes(amplitude, p, linear, ratio, unit)
                for k in range(5):
                    moves[k] = p[special[k]] - reference[k] if special[k] >= 0 else 0.0
                for i in range(n + 1):
                    shift[i] = moves[0] + moves[1] * per_unit[0] * channel[i]
                noise, fano, escape = moves[2] * per_unit[1], moves[3] * per_unit[2], moves[4] * per_unit[3]
                _totals(total, amplitude, fields, first, last, n_lines)
                _moved(shape, total, int(np.int64(0)), n + 1, shift, energy, noise, fano, escape)
                pairs = 1.0 + p[ip] if ip >= 0 else 1.0
                for i in range(n):
                    expected[i] = shape[i + 1] - shape[i] + pairs * pile_up[s, i]
                new = _deviance(counts[s], expected, used)
                deviance[s] = new
                new += _away(p, mean, precision)
                if iteration == 0 or new <= objective[s] + _SAME_OBJECTIVE or attempt == _TRIALS - 1:
                    break
                for j in range(n_par):
                    step[j, s] *= 0.3
                    p[j] = max(trial[j] + step[j, s], lower[j])
            objective[s] = new
            if last_look:
                done[s] = True
                continue
            pending = True
            by_counts = iteration == 0 and new > _BAD_START * n_used
            for i in range(n):
                root[i] = used[i] / sqrt(max(counts[s, i], 1.0) if by_counts else max(expected[i], _LEAST))
            for j in range(n_par):
                for i in range(low[j], high[j]):
                    weighted[j, i] = 0.0
            for c in range(n_columns):
                left, right = first[c], last[c]
                if right - left < 2:
                    continue
                weights = root[left : right - 1]
                if c >= n_lines:
                    _add_difference(weighted[linear[c], left : right - 1], fields[c, 0, left:right], weights, unit[c])
                    continue
                _moved(shape, fields[c], left, right, shift, energy, noise, fano, escape)
                moved = shape[left:right]
                grown = 1.0 + p[ratio[c]] if ratio[c] >= 0 else 1.0
                _add_difference(weighted[linear[c], left : right - 1], moved, weights, unit[c] * grown)
                if ratio[c] >= 0:
                    by_ratio = p[linear[c]] * unit[c]
                    _add_difference(weighted[ratio[c], left : right - 1], moved, weights, by_ratio)
            _scale_rows(weighted, total, work, shift, energy, channel, root, noise, fano, per_unit, special)
            for i in range(n):
                rest[i] = root[i] * (counts[s, i] - max(expected[i], _LEAST))
            if ip >= 0:
                for i in range(n):
                    weighted[ip, i] = root[i] * pile_up[s, i]
            normal_matrix(information, s, weighted, low, high)
            for j in range(n_par):
                gradient[j, s] = _product(weighted[j], rest)
            _with_priors(information, gradient, s, p, mean, precision)
            for j in range(n_par):
                held[j, s] = fixed[j] or (p[j] <= lower[j] and gradient[j, s] < 0.0)
        if not pending:
            break
        steps(step, largest_step, factor, scale, information, gradient, held)
        for s in range(n_spectra):
            if isnan(largest_step[s]):
                for j in range(n_par):
                    step[j, s] = 0.0
    _covariances(covariance, sigma, factor, scale, largest_step)


@entry(F2, F2, F3, F3, F2, F2, F1, F2, F2, F2, F2, F2, I1, I1, F1, F2, F, I)
def fit_linear_block(
    values: FloatArray,
    sigma: FloatArray,
    covariance: FloatArray,
    information: FloatArray,
    scale: FloatArray,
    expected: FloatArray,
    largest_step: FloatArray,
    counts: FloatArray,
    offset: FloatArray,
    columns: FloatArray,
    by_channel: FloatArray,
    products: FloatArray,
    pair: IntArray,
    segment_row: IntArray,
    mean: FloatArray,
    precision: FloatArray,
    tolerance: float,
    most: int,
) -> None:
    """Fit the amplitudes of fixed columns to every spectrum of a block, all spectra of a step in one matrix product.

    Results, changed in place: values, sigma, shape (n_spectra, n); covariance, shape (n_spectra, n_kept, n), of the
    first n_kept with all; information, scale, as in `steps`; expected, shape (n_channels, n_spectra); largest_step,
    shape (n_spectra,).
    counts, offset : shape (n_channels, n_spectra).
    columns : shape (n, n_channels); by_channel : the same transposed.
    products : shape (n_rows, length), products of two columns in one segment of channels; pair : row of the lower
        triangle, i n + j, each belongs to; segment_row : first row of every segment, and the number of rows.
    mean, precision : priors.
    A start that explains the counts badly is improved with weights from the counts first.
    """
    n, n_spectra, length = columns.shape[0], counts.shape[1], products.shape[1]
    weight, rest = np.zeros(counts.shape), np.zeros(counts.shape)
    triangle, factor = information.reshape(n * n, n_spectra), np.zeros((n, n, n_spectra))
    step = np.zeros((n, n_spectra))
    held = np.zeros((n, n_spectra), dtype=np.bool_)
    by_counts = np.zeros(n_spectra, dtype=np.bool_)
    _expect(expected, offset, by_channel, values)
    _start_is_bad(by_counts, counts, expected)
    for _ in range(most):
        _weigh(weight, rest, counts, expected, by_counts)
        triangle[:, :] = 0.0
        for k in range(segment_row.size - 1):
            low, high = segment_row[k], segment_row[k + 1]
            found = np.dot(products[low:high], weight[k * length : (k + 1) * length])
            for r in range(low, high):
                for s in range(n_spectra):
                    triangle[pair[r], s] += found[r - low, s]
        gradient = np.dot(columns, rest)
        for s in range(n_spectra):
            _with_priors(information, gradient, s, values[s], mean, precision)
        steps(step, largest_step, factor, scale, information, gradient, held)
        all_done = True
        for s in range(n_spectra):
            if isnan(largest_step[s]):
                continue
            for i in range(n):
                values[s, i] += step[i, s]
            all_done = all_done and largest_step[s] < tolerance and not by_counts[s]
            by_counts[s] = False
        _expect(expected, offset, by_channel, values)
        if all_done:
            break
    _covariances(covariance, sigma, factor, scale, largest_step)


@kernel
def _expect(expected: FloatArray, offset: FloatArray, by_channel: FloatArray, values: FloatArray) -> None:
    """Expected counts of fixed columns, at least the smallest there are."""
    found = np.dot(by_channel, np.ascontiguousarray(values.T))
    for i in range(offset.shape[0]):
        for s in range(offset.shape[1]):
            expected[i, s] = max(offset[i, s] + found[i, s], _LEAST)


@kernel
def _start_is_bad(bad: NDArray[np.bool_], counts: FloatArray, expected: FloatArray) -> None:
    """Mark spectra whose start explains the counts badly: Σ (n - μ)²/μ above `_BAD_START` per channel."""
    misfit = np.zeros(bad.size)
    for i in range(counts.shape[0]):
        for s in range(counts.shape[1]):
            away = counts[i, s] - expected[i, s]
            misfit[s] += away * away / expected[i, s]
    for s in range(bad.size):
        bad[s] = misfit[s] > _BAD_START * counts.shape[0]


@kernel
def _weigh(
    weight: FloatArray, rest: FloatArray, counts: FloatArray, expected: FloatArray, by_counts: NDArray[np.bool_]
) -> None:
    """Weights, and weighted differences between counts and expectation."""
    for i in range(counts.shape[0]):
        for s in range(counts.shape[1]):
            weight[i, s] = 1.0 / (max(counts[i, s], 1.0) if by_counts[s] else expected[i, s])
            rest[i, s] = weight[i, s] * (counts[i, s] - expected[i, s])
