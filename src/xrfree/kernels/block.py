"""Many spectra of one instrument fitted in one call: normal equations, damping, covariance.

Definition   Poisson maximum likelihood as in `xrfree.fit.solve`. Line shapes come as cumulative counts at the channel
             edges with their derivatives at one energy scale and resolution; what a spectrum's own scale and resolution
             change is Taylor's series, fourth order in shift, second in width. The caller takes care that it holds.
Validation   tests/fit/test_block.py: the numbers of the single fit.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels._kernel import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST = 1e-2
_SAME_OBJECTIVE = 1e-3
_TRIALS = 6
_BAD_START = 5.0
"""Objective per channel of a start above which the first step is weighted by the counts."""


@kernel
def factorise(matrix: FloatArray, n: int) -> bool:
    """Cholesky factor L of the first n rows and columns, in place in the lower triangle.

    False if the matrix is not positive definite. Columns are eliminated one by one: inner loops are sums of rows.
    """
    column = np.empty(n)
    for j in range(n):
        pivot = matrix[j, j]
        if not pivot > 0.0:
            return False
        pivot = sqrt(pivot)
        matrix[j, j] = pivot
        for i in range(j + 1, n):
            matrix[i, j] /= pivot
            column[i] = matrix[i, j]
        for i in range(j + 1, n):
            factor = column[i]
            row = matrix[i]
            for k in range(j + 1, i + 1):
                row[k] -= factor * column[k]
    return True


@kernel
def solve_factored(factor: FloatArray, right: FloatArray, n: int) -> None:
    """Solve L Lᵀ x = right in place."""
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * right[k]
        right[i] = total / factor[i, i]
    for i in range(n - 1, -1, -1):
        right[i] /= factor[i, i]
        for k in range(i):
            right[k] -= factor[i, k] * right[i]


@kernel
def inverse_factor(factor: FloatArray, inverse: FloatArray, n: int) -> None:
    """Inverse of a lower triangular matrix."""
    inverse[:n, :n] = 0.0
    for i in range(n):
        row = inverse[i]
        for k in range(i):
            scale = factor[i, k]
            other = inverse[k]
            for j in range(k + 1):
                row[j] -= scale * other[j]
        row[i] = 1.0
        for j in range(i + 1):
            row[j] /= factor[i, i]


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
def _step(
    information: FloatArray,
    gradient: FloatArray,
    held: NDArray[np.bool_],
    step: FloatArray,
    factor: FloatArray,
    scale: FloatArray,
    place: IntArray,
) -> tuple[int, float]:
    """Step of the parameters that are not held: their number, and the step's length in standard uncertainties.

    The length √(stepᵀ A step) is at least that of any one parameter. -1 for a singular problem.
    factor, scale, place : Cholesky factor of the information in units that make its diagonal 1, these units, and the
    places of the parameters.
    """
    n = 0
    for j in range(held.size):
        step[j] = 0.0
        if held[j]:
            continue
        if not information[j, j] > 0.0:
            return -1, 0.0
        place[n] = j
        scale[n] = 1.0 / sqrt(information[j, j])
        n += 1
    for i in range(n):
        for j in range(i + 1):
            factor[i, j] = information[place[i], place[j]] * scale[i] * scale[j]
    if not factorise(factor, n):
        return -1, 0.0
    right = np.empty(n)
    for i in range(n):
        right[i] = gradient[place[i]] * scale[i]
    solve_factored(factor, right, n)
    length = 0.0
    for i in range(n):
        step[place[i]] = right[i] * scale[i]
        length += gradient[place[i]] * step[place[i]]
    return n, sqrt(max(length, 0.0))


@kernel
def _covariance(
    covariance: FloatArray, sigma: FloatArray, factor: FloatArray, scale: FloatArray, place: IntArray, n: int
) -> None:
    """Covariance of the first parameters and all standard uncertainties, 0 for those that are held; n free ones."""
    inverse = np.empty((n, n))
    inverse_factor(factor, inverse, n)
    product = np.dot(inverse.T, inverse)
    sigma[:] = 0.0
    covariance[:, :] = 0.0
    n_kept = covariance.shape[0]
    for i in range(n):
        sigma[place[i]] = sqrt(product[i, i]) * scale[i]
        if place[i] >= n_kept:
            continue
        for j in range(n):
            if place[j] < n_kept:
                covariance[place[i], place[j]] = product[i, j] * scale[i] * scale[j]


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
    cumulative, slope, wider, wider_e, escaped = field[0], field[1], field[2], field[3], field[8]
    bend, bend_e, turn, turn_e = field[4], field[5], field[6], field[7]
    for i in range(low, high):
        d = shift[i]
        shape[i] = (
            cumulative[i]
            + d * (slope[i] + d * (wider[i] + d * (bend[i] / 3.0 + d * turn[i] / 12.0)))
            + noise * (wider[i] + d * (bend[i] + 0.5 * d * turn[i]) + 0.25 * noise * turn[i] + 0.5 * fano * turn_e[i])
            + fano * (wider_e[i] + d * (bend_e[i] + 0.5 * d * turn_e[i]) + 0.25 * fano * energy[i] * turn_e[i])
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
        by_energy[i] = (
            slope[i]
            + d * (2.0 * wider[i] + d * (bend[i] + d * turn[i] / 3.0))
            + noise * (bend[i] + d * turn[i])
            + fano * (bend_e[i] + d * turn_e[i])
        )
        by_gain[i] = channel[i] * by_energy[i]
        by_noise[i] = wider[i] + d * (bend[i] + 0.5 * d * turn[i]) + 0.5 * (noise * turn[i] + fano * turn_e[i])
        by_fano[i] = wider_e[i] + d * (bend_e[i] + 0.5 * d * turn_e[i]) + 0.5 * (noise + fano * energy[i]) * turn_e[i]
    _add_difference(weighted[special[0]], by_energy, root, 1.0)
    _add_difference(weighted[special[1]], by_gain, root, per_unit[0])
    _add_difference(weighted[special[2]], by_noise, root, per_unit[1])
    _add_difference(weighted[special[3]], by_fano, root, per_unit[2])
    if special[4] >= 0:
        _add_difference(weighted[special[4]], escaped, root, per_unit[3])


@kernel
def fit_block(
    values: FloatArray,
    sigma: FloatArray,
    covariance: FloatArray,
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
    """Fit every spectrum of a block.

    Results, changed in place: values, shape (n_spectra, n_parameters), start values before; sigma, the same shape;
    covariance, shape (n_spectra, n_kept, n_kept), of the first n_kept parameters; deviance, largest_step (length of
    the last step, see `_step`; NaN for a singular problem), shape (n_spectra,).
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
    n_par, n, n_columns = values.shape[1], counts.shape[1], first.size
    amplitude = np.empty(n_columns)
    total, work = np.zeros((9, n + 1)), np.zeros((4, n + 1))
    shift, shape = np.zeros(n + 1), np.zeros(n + 1)
    weighted = np.zeros((n_par, n))
    expected, root = np.zeros(n), np.zeros(n)
    gradient, step, factor = np.zeros(n_par), np.zeros(n_par), np.zeros((n_par, n_par))
    scale, place = np.zeros(n_par), np.zeros(n_par, dtype=np.int64)
    trial, moves = np.zeros(n_par), np.zeros(5)
    held = np.zeros(n_par, dtype=np.bool_)
    ip = special[5]
    n_used = used.sum()
    for s in range(values.shape[0]):
        p = values[s]
        objective = np.inf
        done = False
        n_free = -1
        largest_step[s] = np.nan
        for iteration in range(most + 1):
            # Expected counts at p; a step that makes the objective worse is shortened.
            for attempt in range(_TRIALS):
                _amplitudes(amplitude, p, linear, ratio, unit)
                for k in range(5):
                    moves[k] = p[special[k]] - reference[k] if special[k] >= 0 else 0.0
                for i in range(n + 1):
                    shift[i] = moves[0] + moves[1] * per_unit[0] * channel[i]
                noise, fano, escape = moves[2] * per_unit[1], moves[3] * per_unit[2], moves[4] * per_unit[3]
                _totals(total, amplitude, fields, first, last, n_lines)
                _moved(shape, total, 0, n + 1, shift, energy, noise, fano, escape)
                pairs = 1.0 + p[ip] if ip >= 0 else 1.0
                for i in range(n):
                    expected[i] = shape[i + 1] - shape[i] + pairs * pile_up[s, i]
                new = _deviance(counts[s], expected, used) + _away(p, mean, precision)
                if iteration == 0 or new <= objective + _SAME_OBJECTIVE or attempt == _TRIALS - 1:
                    break
                for j in range(n_par):
                    step[j] *= 0.3
                    p[j] = max(trial[j] + step[j], lower[j])
            objective = new
            if done or iteration == most:
                break
            by_counts = iteration == 0 and objective > _BAD_START * n_used
            for i in range(n):
                root[i] = used[i] / sqrt(max(counts[s, i], 1.0) if by_counts else max(expected[i], _LEAST))
            weighted[:, :] = 0.0
            for c in range(n_columns):
                low, high = first[c], last[c]
                if high - low < 2:
                    continue
                weights = root[low : high - 1]
                if c >= n_lines:
                    _add_difference(weighted[linear[c], low : high - 1], fields[c, 0, low:high], weights, unit[c])
                    continue
                _moved(shape, fields[c], low, high, shift, energy, noise, fano, escape)
                moved = shape[low:high]
                grown = 1.0 + p[ratio[c]] if ratio[c] >= 0 else 1.0
                _add_difference(weighted[linear[c], low : high - 1], moved, weights, unit[c] * grown)
                if ratio[c] >= 0:
                    by_ratio = p[linear[c]] * unit[c]
                    _add_difference(weighted[ratio[c], low : high - 1], moved, weights, by_ratio)
            _scale_rows(weighted, total, work, shift, energy, channel, root, noise, fano, per_unit, special)
            for i in range(n):
                if ip >= 0:
                    weighted[ip, i] = root[i] * pile_up[s, i]
                root[i] *= counts[s, i] - max(expected[i], _LEAST)
            information = np.dot(weighted, weighted.T)
            gradient[:] = np.dot(weighted, root)
            for i in range(n_par):
                for j in range(n_par):
                    information[i, j] += precision[i, j]
                    gradient[i] -= precision[i, j] * (p[j] - mean[j])
            for j in range(n_par):
                held[j] = fixed[j] or (p[j] <= lower[j] and gradient[j] < 0.0)
            n_free, length = _step(information, gradient, held, step, factor, scale, place)
            if n_free < 0:
                largest_step[s] = np.nan
                break
            for j in range(n_par):
                trial[j] = p[j]
                p[j] = max(p[j] + step[j], lower[j])
            largest_step[s] = length
            done = length < tolerance
        deviance[s] = _deviance(counts[s], expected, used)
        if n_free >= 0:
            _covariance(covariance[s], sigma[s], factor, scale, place, n_free)


@kernel
def fit_linear_block(
    values: FloatArray,
    sigma: FloatArray,
    covariance: FloatArray,
    deviance: FloatArray,
    largest_step: FloatArray,
    counts: FloatArray,
    offset: FloatArray,
    n_used: int,
    columns: FloatArray,
    products: FloatArray,
    pair: IntArray,
    segment_row: IntArray,
    mean: FloatArray,
    precision: FloatArray,
    tolerance: float,
    most: int,
) -> None:
    """Fit the amplitudes of fixed columns to every spectrum of a block, all spectra of a step in one matrix product.

    Results, changed in place: values, sigma, shape (n_spectra, n); covariance, shape (n_spectra, n_kept, n_kept), of
    the first n_kept; deviance, largest_step, shape (n_spectra,).
    counts, offset : shape (n_channels, n_spectra).
    columns : shape (n, n_channels); n_used : channels that are no padding.
    products : shape (n_rows, length), products of two columns in one segment of channels; pair : row of the lower
        triangle, i (i + 1) / 2 + j, each belongs to; segment_row : first row of every segment, and the number of rows.
    mean, precision : priors. The first step is weighted by the counts, the others by the expectation.
    """
    n = columns.shape[0]
    n_spectra, length = counts.shape[1], products.shape[1]
    expected = offset + np.dot(columns.T, np.ascontiguousarray(values.T))
    weight, rest = np.empty_like(counts), np.empty_like(counts)
    triangle = np.empty((n * (n + 1) // 2, n_spectra))
    information, factor = np.empty((n, n)), np.empty((n_spectra, n, n))
    step, scale, place = np.empty(n), np.empty((n_spectra, n)), np.zeros(n, dtype=np.int64)
    free = np.zeros(n, dtype=np.bool_)
    for iteration in range(most):
        _weigh(weight, rest, counts, expected, iteration == 0)
        triangle[:, :] = 0.0
        for k in range(segment_row.size - 1):
            low, high = segment_row[k], segment_row[k + 1]
            found = np.dot(products[low:high], weight[k * length : (k + 1) * length])
            for r in range(low, high):
                triangle[pair[r]] += found[r - low]
        gradient = np.ascontiguousarray(np.dot(columns, rest).T)
        all_done = True
        for s in range(n_spectra):
            for i in range(n):
                for j in range(i + 1):
                    information[i, j] = triangle[i * (i + 1) // 2 + j, s] + precision[i, j]
                for j in range(n):
                    gradient[s, i] -= precision[i, j] * (values[s, j] - mean[j])
            n_free, largest_step[s] = _step(information, gradient[s], free, step, factor[s], scale[s], place)
            if n_free < 0:
                largest_step[s] = np.nan
                continue
            for i in range(n):
                values[s, i] += step[i]
            all_done = all_done and iteration > 0 and largest_step[s] < tolerance
        expected = offset + np.dot(columns.T, np.ascontiguousarray(values.T))
        if all_done:
            break
    for s in range(n_spectra):
        if not np.isnan(largest_step[s]):
            _covariance(covariance[s], sigma[s], factor[s], scale[s], place, n)
            deviance[s] = _deviance_of(counts, expected, s, n_used)


@kernel
def _weigh(weight: FloatArray, rest: FloatArray, counts: FloatArray, expected: FloatArray, by_counts: bool) -> None:
    """Weights, and weighted differences between counts and expectation."""
    for i in range(counts.shape[0]):
        w, d, n, m = weight[i], rest[i], counts[i], expected[i]
        for s in range(n.size):
            mu = max(m[s], _LEAST)
            w[s] = 1.0 / (max(n[s], 1.0) if by_counts else mu)
            d[s] = w[s] * (n[s] - mu)


@kernel
def _deviance_of(counts: FloatArray, expected: FloatArray, s: int, n_used: int) -> float:
    """Deviance of spectrum s of arrays of shape (n_channels, n_spectra)."""
    total = 0.0
    for i in range(n_used):
        mu = max(expected[i, s], _LEAST)
        total += mu - counts[i, s]
        if counts[i, s] > 0.0:
            total += counts[i, s] * log(counts[i, s] / mu)
    return 2.0 * total
