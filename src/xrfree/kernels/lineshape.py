"""What a detector makes of a list of lines: counts per channel, integrated over each channel.

Definition   cumulative distribution of a line at the channel edges, then differences, so that counts are conserved.
             Core: Voigt profile, expanded to third order in the natural width over the Gaussian width.
             Tail: exponential towards low energy folded with the Gaussian. Shelf: even from 0 to the line.
             Derivatives are those of the same formulas. Every part obeys the heat equation, so that the derivative by
             σ² is half the second derivative by energy.
Validation   tests/kernels/test_lineshape.py: scipy.special.voigt_profile, numerical folding, conservation of counts,
             finite differences.
"""

from __future__ import annotations

from math import erfc, exp, isfinite, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from xrfree.kernels._kernel import B1, F1, F2, I1, F, entry, kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ROOT_2 = sqrt(2.0)
_ROOT_2PI = sqrt(2.0 * pi)
_FAR = 8.0
"""Distance from a line, in σ, beyond which its Gaussian is 0 or 1 to 1e-15."""
_EDGE = sqrt(3.0)
"""Half the width, in σ, over which the end of a wing is rounded."""
_PER_SIGMA = 64
_NODE = np.arange(-_FAR, _FAR + 0.5 / _PER_SIGMA, 1.0 / _PER_SIGMA)
_BELOW = special.ndtr(_NODE)
_DENSITY = np.exp(-0.5 * _NODE * _NODE) / _ROOT_2PI
_DAWSON = special.dawsn(_NODE / _ROOT_2)
_LEAST_SHARE = 1e-15
_LOWEST_EXPONENT = -30.0

DERIVATIVES = (
    "energy",
    "variance",
    "variance_energy",
    "width_k",
    "width_l",
    "tail_share",
    "tail_fall",
    "tail_rest",
    "tail_scale",
    "tail_growth",
    "shelf_share",
)
"""Rows that `add_line_derivatives` fills: derivative of the cumulative counts at every channel edge by the edge's
energy; by σ²; by σ² in proportion to the line's energy; by the logarithm of the natural width of K lines and of all
others; by ln(tail share), and by two parameters that it and ln(shelf share) depend on; by ln(tail scale) and by the
parameter that it depends on; by ln(shelf share)."""


@entry(F)
def gaussian(u: float) -> tuple[float, float]:
    """Φ(u) and φ(u) of the normal distribution to 1e-14, |u| at most 8: Taylor's series from the nearest node."""
    node = int((u + _FAR) * _PER_SIGMA + 0.5)
    a = node / _PER_SIGMA - _FAR
    h = u - a
    density = _DENSITY[node]
    h2 = a * a - 1.0
    h3 = a * (a * a - 3.0)
    h4 = (a * a - 6.0) * a * a + 3.0
    h5 = a * ((a * a - 10.0) * a * a + 15.0)
    below = _BELOW[node] + density * h * (
        1.0 - h * (a / 2.0 - h * (h2 / 6.0 - h * (h3 / 24.0 - h * (h4 / 120.0 - h * h5 / 720.0))))
    )
    return below, density * (1.0 - h * (a - h * (h2 / 2.0 - h * (h3 / 6.0 - h * (h4 / 24.0 - h * h5 / 120.0)))))


@kernel
def dawson(t: float) -> float:
    """Dawson's integral D(t) = exp(-t²) ∫_0^t exp(x²) dx to 1e-11, |t| at most 8/√2: Taylor's series from a node.

    D' = 1 - 2tD,  D⁽ⁿ⁺¹⁾ = -2tD⁽ⁿ⁾ - 2nD⁽ⁿ⁻¹⁾
    """
    node = int((t * _ROOT_2 + _FAR) * _PER_SIGMA + 0.5)
    a = (node / _PER_SIGMA - _FAR) / _ROOT_2
    h = t - a
    d0 = float(_DAWSON[node])
    d1 = 1.0 - 2.0 * a * d0
    d2 = -2.0 * (a * d1 + d0)
    d3 = -2.0 * (a * d2 + 2.0 * d1)
    d4 = -2.0 * (a * d3 + 3.0 * d2)
    return d0 + h * (d1 + h * (d2 / 2.0 + h * (d3 / 6.0 + h * d4 / 24.0)))


@kernel
def _lifted(u: float, s: float) -> float:
    """exp(us + s²/2) Φ̄(u + s), the exponential tail's part above what the Gaussian has; s = σ/β."""
    v = u + s
    exponent = s * (u + 0.5 * s)
    if exponent < _LOWEST_EXPONENT and v < _FAR:
        return 0.0
    if u > _FAR:
        return 0.0
    if v < -_FAR:
        return exp(exponent)
    if v <= _FAR and exponent < 5.0:
        return exp(exponent) * gaussian(-v)[0]
    if v < 26.0:
        return exp(exponent) * 0.5 * erfc(v / _ROOT_2)
    r = 1.0 / (v * v)
    return exp(-0.5 * u * u) / (_ROOT_2PI * v) * (1.0 - r * (1.0 - 3.0 * r * (1.0 - 5.0 * r * (1.0 - 7.0 * r))))


@kernel
def _place(edges: FloatArray, energy: float) -> int:
    """Index of the first edge at or above an energy."""
    low, high = 0, edges.size
    while low < high:
        middle = (low + high) // 2
        if edges[middle] < energy:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _tail_end(sigma: float, tail_scale: float) -> float:
    """Distance (keV) below a line at which its exponential tail has faded."""
    s = sigma / tail_scale
    return (0.5 * s * s - _LOWEST_EXPONENT) * tail_scale


@kernel
def _places(
    edges: FloatArray, energy: float, sigma: float, half_width: float, tail: float, tail_scale: float, reach: float
) -> tuple[int, int, int, int, float]:
    """Edges from which on a line counts, edges of its Gaussian, edge where it ends; where its wings end (keV).

    The shelf's even part below the Gaussian is not counted here.
    """
    end = max(reach, (_FAR + _EDGE) * sigma) if half_width != 0.0 else _FAR * sigma
    seen = end + _EDGE * sigma if half_width != 0.0 else end
    low = max(seen, _tail_end(sigma, tail_scale)) if tail > _LEAST_SHARE else seen
    first = max(0, _place(edges, energy - low) - 1)
    near_first = max(0, _place(edges, energy - _FAR * sigma) - 1)
    near_last = min(edges.size, _place(edges, energy + _FAR * sigma) + 1)
    last = min(edges.size, _place(edges, energy + seen) + 1)
    return min(first, near_first), near_first, max(near_last, near_first), max(last, near_last), end


@kernel
def _profile(
    part: FloatArray,
    edges: FloatArray,
    first: int,
    near_first: int,
    near_last: int,
    last: int,
    energy: float,
    sigma: float,
    half_width: float,
    end: float,
    tail_scale: float,
    derivatives: bool,
) -> None:
    """One line of unit area at the edges `first` to `last` (excluded).

    part : shape (7, n_edges), changed in place:
    0, 1   Φ(u) and φ(u), u = (E - E0)/σ
    2      what the natural width adds to the cumulative core: - g √2/(πσ) D(t) + g² u φ(u) / (2σ²)
           + g³ √2/(12πσ³) D''(t), t = u/√2, g half width; beyond 8 σ the wings
           of `_wing`, d = E - E0, which end at `end`
    3, 4   its first and second derivative by E, where `derivatives` are wanted
    5      its derivative by ln g, likewise
    6      exp(d/β + σ²/2β²) Φ̄(u + σ/β), β tail_scale; 0 for β = 0
    """
    part[0, first:near_first] = 0.0
    part[1, first:near_first] = 0.0
    for i in range(near_first, near_last):
        u = (edges[i] - energy) / sigma
        if abs(u) <= _FAR:
            part[0, i], part[1, i] = gaussian(u)
        else:
            part[0, i], part[1, i] = 1.0 if u > 0.0 else 0.0, 0.0
    part[0, near_last:last] = 1.0
    part[1, near_last:last] = 0.0
    if half_width != 0.0:
        _natural_wings(part, edges, first, near_first, energy, sigma, half_width, end, derivatives)
        _natural_core(part, edges, near_first, near_last, energy, sigma, half_width, end, derivatives)
        _natural_wings(part, edges, near_last, last, energy, sigma, half_width, end, derivatives)
    elif derivatives:
        part[2:6, first:last] = 0.0
    else:
        part[2, first:last] = 0.0
    part[6, first:last] = 0.0
    if tail_scale > 0.0:
        _tail(part[6], edges, first, near_last, energy, sigma, tail_scale)


@kernel
def _natural_core(
    part: FloatArray,
    edges: FloatArray,
    first: int,
    last: int,
    energy: float,
    sigma: float,
    half_width: float,
    end: float,
    derivatives: bool,
) -> None:
    q = half_width / sigma
    for i in range(first, last):
        if abs(edges[i] - energy) > _FAR * sigma:
            _natural_wings(part, edges, i, i + 1, energy, sigma, half_width, end, derivatives)
            continue
        u, density = (edges[i] - energy) / sigma, part[1, i]
        t = u / _ROOT_2
        d0 = dawson(t)
        d1 = 1.0 - 2.0 * t * d0
        d2 = -2.0 * (t * d1 + d0)
        one, two, three = -_ROOT_2 / pi * d0, 0.5 * q * u * density, q * q * _ROOT_2 / (12.0 * pi) * d2
        part[2, i] = q * (one + two + three)
        if not derivatives:
            continue
        d3 = -2.0 * (t * d2 + 2.0 * d1)
        d4 = -2.0 * (t * d3 + 3.0 * d2)
        part[3, i] = q / sigma * (-d1 / pi + 0.5 * q * (1.0 - u * u) * density + q * q / (12.0 * pi) * d3)
        part[4, i] = (
            q / (sigma * sigma)
            * (-d2 / (_ROOT_2 * pi) + 0.5 * q * u * (u * u - 3.0) * density + q * q / (12.0 * _ROOT_2 * pi) * d4)
        )  # fmt: skip
        part[5, i] = q * (one + 2.0 * two + 3.0 * three)


@kernel
def _natural_wings(
    part: FloatArray,
    edges: FloatArray,
    first: int,
    last: int,
    energy: float,
    sigma: float,
    half_width: float,
    end: float,
    derivatives: bool,
) -> None:
    for i in range(first, last):
        d, moved, bent = _within(edges[i] - energy, end, _EDGE * sigma)
        part[2, i], part[5, i] = _wing(d, sigma, half_width)
        if not derivatives:
            continue
        part[3, i] = part[4, i] = 0.0
        if moved > 0.0:
            r = sigma * sigma / (d * d)
            w = half_width * half_width / (d * d)
            scale = half_width / (pi * d * d)
            density = scale * (1.0 - w + r * (3.0 + r * (15.0 + r * (105.0 + r * 945.0))))
            slope = scale / d * (4.0 * w - 2.0 - r * (12.0 + r * (90.0 + r * (840.0 + r * 9450.0))))
            part[3, i] = density * moved
            part[4, i] = slope * moved * moved + density * bent


@kernel
def _within(distance: float, end: float, edge: float) -> tuple[float, float, float]:
    """A distance bent to stay within ±`end`, with its first and second derivative.

    Within ±`edge` of the end it goes over from 1 to 0 with the distance: as the Gaussian, of the same second moment,
    rounds the end of a wing.
    """
    beyond = abs(distance) - end
    if beyond <= -edge:
        return distance, 1.0, 0.0
    sign = 1.0 if distance > 0.0 else -1.0
    if beyond >= edge:
        return sign * end, 0.0, 0.0
    rest = edge - beyond
    return sign * (end - rest * rest / (4.0 * edge)), rest / (2.0 * edge), -sign / (2.0 * edge)


@kernel
def _wing(distance: float, sigma: float, half_width: float) -> tuple[float, float]:
    """Natural width's part of the cumulative counts beyond 8 σ, and its derivative by ln g.

    - g/(πd) [1 + r + 3r² + 15r³ + 105r⁴ - g²/(3d²)],  r = (σ/d)²
    """
    one = 1.0 / distance
    r = sigma * sigma * one * one
    w = half_width * half_width * one * one
    scale = -half_width / pi * one
    series = 1.0 + r * (1.0 + r * (3.0 + r * (15.0 + r * 105.0)))
    return scale * (series - w / 3.0), scale * (series - w)


@kernel
def _tail(
    lifted: FloatArray, edges: FloatArray, first: int, last: int, energy: float, sigma: float, tail_scale: float
) -> None:
    """The exponential tail from where it starts to differ from 0; far below the line a plain exponential."""
    s = sigma / tail_scale
    start = max(first, _place(edges, energy - _tail_end(sigma, tail_scale)))
    curved = min(max(_place(edges, energy - sigma * (_FAR + s)), start), last)
    step, factor = 0.0, 1.0
    for i in range(start, curved):
        if i == start:
            lifted[i] = exp((edges[i] - energy) / tail_scale + 0.5 * s * s)
            continue
        width = edges[i] - edges[i - 1]
        if abs(width - step) > 1e-9 * width:
            step = width
            factor = exp(step / tail_scale)
        lifted[i] = lifted[i - 1] * factor
    for i in range(curved, last):
        lifted[i] = _lifted((edges[i] - energy) / sigma, s)


@kernel
def _beyond(end: float, sigma: float, half_width: float) -> tuple[float, float]:
    """Share of a line that its wings would hold beyond their end, and its derivative by ln g."""
    wing, slope = _wing(end, sigma, half_width)
    return -2.0 * wing, -2.0 * slope


@entry(F2, F2, I1, F1, F1, F1, F1, F1, F1, F1, F1, F1, B1, F2, F1)
def add_lines(
    out: FloatArray,
    rows: FloatArray,
    column: IntArray,
    edges: FloatArray,
    energy: FloatArray,
    area: FloatArray,
    moved_area: FloatArray,
    sigma: FloatArray,
    half_width: FloatArray,
    tail: FloatArray,
    tail_scale: FloatArray,
    shelf: FloatArray,
    is_k: NDArray[np.bool_],
    depends: FloatArray,
    reach: FloatArray,
) -> None:
    """Add every line to its column of `out`, and the derivatives of all lines together to `rows`.

    F(E) = (1 - s + w) Φ + natural + t lifted + s [d Φ̄ - σ φ] / E0   of `_profile`, t tail, s shelf, w what the
    natural width's wings would hold beyond their end, d = E - E0: a photon has its natural width before the detector
    loses a part of its charge; counts are differences between the edges

    out : shape (n_columns, n_channels), changed in place.
    rows : shape (n, n_channels + 1), n 0, 3 or 11, changed in place: `DERIVATIVES` of the cumulative counts at every
        edge; differences between neighbouring edges are the derivatives of the counts.
    column : shape (n_lines,), row of `out` each line belongs to.
    edges : shape (n_channels + 1,), keV; no shelf below 0 keV.
    energy, area, sigma, half_width, tail, tail_scale, shelf : shape (n_lines,); keV and shares of the area.
    moved_area : shape (n_lines,), areas in the sum that `rows` holds the derivatives of.
    is_k : shape (n_lines,), whether a line is a K line.
    depends : shape (3, n_lines), derivatives of ln(tail share), which are those of ln(shelf share), by the two
        parameters they depend on, and of ln(tail scale) by its own.
    reach : shape (n_lines,), distance (keV) to which the wings of the natural width are followed, at least 10 σ.
    """
    n_edges, n_rows = edges.size, rows.shape[0]
    if n_edges < 2:
        return
    part, value = np.zeros((7, n_edges)), np.zeros(n_edges)
    even = np.zeros((out.shape[0], n_edges))
    below, rate = np.zeros((n_rows, n_edges + 1)), np.zeros((n_rows, n_edges + 1))
    for k in range(energy.size):
        e, s, g, t, b, h = energy[k], sigma[k], half_width[k], tail[k], tail_scale[k], shelf[k]
        row = out[column[k]]
        if not isfinite(e + s + g + t + b + h):
            row[:] = np.nan
            rows[:, :] = np.nan
            continue
        first, near_first, near_last, last, end = _places(edges, e, s, g, t, b, reach[k])
        _profile(
            part, edges, first, near_first, near_last, last, e, s, g, end, b if t > _LEAST_SHARE else 0.0, n_rows > 0
        )
        w, w_slope = _beyond(end, s, g) if g != 0.0 else (0.0, 0.0)
        _add_counts(row, part, value, edges, first, near_first, near_last, last, e, area[k], s, t, h, w)
        if h > _LEAST_SHARE:
            even[column[k], near_first] += area[k] * h / e
        if n_rows == 0:
            continue
        if h > _LEAST_SHARE:
            rate[0, near_first] += moved_area[k] * h / e
        _add_moves(rows, part, edges, first, near_first, last, e, moved_area[k], s, 1.0 - t - h + w, t, b, h)
        if n_rows > 3:
            _add_width(rows, part, first, last, moved_area[k], w_slope, is_k[k])
            if t > _LEAST_SHARE:
                _add_tail(rows, part, edges, first, last, e, moved_area[k] * t, s, b, depends[:, k])
            if h > _LEAST_SHARE:
                _add_shelf(
                    rows, below, rate, part, edges, first, near_first, last, e, moved_area[k] * h, s, depends[:, k]
                )
    for c in range(out.shape[0]):
        _add_even(out[c], even[c], edges)
    _add_below(rows, edges, below, rate)


@kernel
def _add_counts(
    row: FloatArray,
    part: FloatArray,
    value: FloatArray,
    edges: FloatArray,
    first: int,
    near_first: int,
    near_last: int,
    last: int,
    energy: float,
    area: float,
    sigma: float,
    tail: float,
    shelf: float,
    beyond: float,
) -> None:
    """Add the counts of one line with the parts of `_profile`, without the even part of its shelf."""
    # Parts of arrays: the compiler then sees that no index is negative, and uses vectors.
    gauss, natural, lifted, counts = part[0, first:last], part[2, first:last], part[6, first:last], row[first:last]
    for i in range(gauss.size):
        value[i] = (1.0 - shelf + beyond) * gauss[i] + natural[i] + tail * lifted[i]
    for i in range(gauss.size - 1):
        counts[i] += area * (value[i + 1] - value[i])
    if shelf > _LEAST_SHARE and near_last > near_first:
        before = _shelf(edges[near_first], energy, sigma, part[0, near_first], part[1, near_first])
        for i in range(near_first, near_last - 1):
            after = _shelf(edges[i + 1], energy, sigma, part[0, i + 1], part[1, i + 1])
            row[i] += area * shelf * (after - before)
            before = after


@kernel
def _add_even(row: FloatArray, even: FloatArray, edges: FloatArray) -> None:
    """Add the even parts of shelves; even : heights that hold below an edge, nothing below 0 keV."""
    rate = even[edges.size - 1]
    for i in range(edges.size - 2, -1, -1):
        row[i] += rate * (max(edges[i + 1], 0.0) - max(edges[i], 0.0))
        rate += even[i]


@kernel
def _shelf(edge: float, energy: float, sigma: float, below: float, density: float) -> float:
    """Cumulative counts of a shelf of unit area, up to a constant; none below 0 keV."""
    return ((max(edge, 0.0) - energy) * (1.0 - below) - sigma * density) / energy


@kernel
def _add_below(out: FloatArray, edges: FloatArray, below: FloatArray, rate: FloatArray) -> None:
    """Add what reaches from lines to all edges below them: constants, and the even parts of shelves.

    below, rate : shape (n, n_edges + 1), for all edges below the index: what is added, and in proportion to energy.
    Of the first row it is the rate itself that counts: the derivative of the shelf's cumulative counts.
    """
    for r in range(out.shape[0]):
        constant, slope = 0.0, 0.0
        for i in range(edges.size - 1, -1, -1):
            constant += below[r, i + 1]
            slope += rate[r, i + 1]
            out[r, i] += constant
            if edges[i] > 0.0:
                out[r, i] += slope if r == 0 else slope * edges[i]


@kernel
def _add_moves(
    out: FloatArray,
    part: FloatArray,
    edges: FloatArray,
    first: int,
    near_first: int,
    last: int,
    energy: float,
    area: float,
    sigma: float,
    core: float,
    tail: float,
    tail_scale: float,
    shelf: float,
) -> None:
    """Derivatives by the edges' energy and by σ² of one line with the parts of `_profile`."""
    t = tail / tail_scale if tail > _LEAST_SHARE else 0.0
    h = shelf / energy if shelf > _LEAST_SHARE else 0.0
    for i in range(first, last):
        u, peak = (edges[i] - energy) / sigma, part[1, i] / sigma
        slope = core * peak + part[3, i] + t * part[6, i]
        bend = part[4, i] - core * u * peak / sigma - h * peak
        if t > 0.0:
            bend += t * (part[6, i] / tail_scale - peak)
        if i >= near_first and edges[i] > 0.0:
            slope += h * (1.0 - part[0, i])
        out[0, i] += area * slope
        out[1, i] += 0.5 * area * bend
        out[2, i] += 0.5 * area * bend * energy


@kernel
def _add_width(
    out: FloatArray, part: FloatArray, first: int, last: int, area: float, beyond: float, is_k: bool
) -> None:
    """Derivative by the logarithm of the natural width, counted from the line's upper end.

    beyond : derivative of what the wings would hold beyond their end.
    """
    row = 3 if is_k else 4
    for i in range(first, last):
        out[row, i] += area * (part[5, i] + 0.5 * beyond - beyond * (1.0 - part[0, i]))


@kernel
def _add_tail(
    out: FloatArray,
    part: FloatArray,
    edges: FloatArray,
    first: int,
    last: int,
    energy: float,
    area: float,
    sigma: float,
    tail_scale: float,
    depends: FloatArray,
) -> None:
    """Derivatives by the tail's share and scale; `area` is the tail's.

    ∂F/∂ln t = t lifted,  ∂F/∂ln β = t (σ/β) [φ - lifted (u + σ/β)]
    """
    s = sigma / tail_scale
    for i in range(first, last):
        by_share = area * part[6, i]
        by_scale = area * s * (part[1, i] - part[6, i] * ((edges[i] - energy) / sigma + s))
        out[5, i] += by_share
        out[6, i] += by_share * depends[0]
        out[7, i] += by_share * depends[1]
        out[8, i] += by_scale
        out[9, i] += by_scale * depends[2]


@kernel
def _add_shelf(
    out: FloatArray,
    below: FloatArray,
    rate: FloatArray,
    part: FloatArray,
    edges: FloatArray,
    first: int,
    near_first: int,
    last: int,
    energy: float,
    area: float,
    sigma: float,
    depends: FloatArray,
) -> None:
    """Derivatives by the shelf's share, H - Φ: shelf and Gaussian, from its upper end; `area` is the shelf's."""
    for i in range(first, last):
        by_share = -area * (part[0, i] - 1.0)
        if i >= near_first:
            by_share += area * _shelf(edges[i], energy, sigma, part[0, i], part[1, i])
        out[10, i] += by_share
        out[6, i] += by_share * depends[0]
        out[7, i] += by_share * depends[1]
    for row, factor in ((10, 1.0), (6, depends[0]), (7, depends[1])):
        below[row, first] += area * factor
        below[row, near_first] -= area * factor
        rate[row, near_first] += area / energy * factor


@entry(F2, F2, F1, F1, F2, F1, F1)
def add_smooth(
    out: FloatArray,
    rows: FloatArray,
    edges: FloatArray,
    energy: FloatArray,
    strength: FloatArray,
    moved: FloatArray,
    sigma: FloatArray,
) -> None:
    """Add light that together makes smooth curves: every energy is a Gaussian within 8 sigma.

    out : shape (n_columns, n_channels), changed in place.
    rows : shape (n, n_channels + 1), n 0 or more than 2: the first three `DERIVATIVES` of the light `moved` are added.
    energy, moved, sigma : shape (n,); strength : shape (n_columns, n), of every energy in every column.
    """
    n_edges, wanted = edges.size, rows.shape[0] > 0
    share, density, below = np.zeros(n_edges), np.zeros(n_edges), 0.0
    for k in range(energy.size):
        e, s = energy[k], sigma[k]
        if not isfinite(e + s):
            out[:, :] = np.nan
            rows[:, :] = np.nan
            continue
        first = max(0, _place(edges, e - _FAR * s) - 1)
        last = min(n_edges, _place(edges, e + _FAR * s) + 1)
        if last - first < 2:
            continue
        # From here on arrays begin at `first`: the compiler then sees that no index is negative, and uses vectors.
        near, n = edges[first:last], last - first
        for i in range(n):
            u = (near[i] - e) / s
            before = below
            if abs(u) <= _FAR:
                below, density[i] = gaussian(u)
            else:
                below, density[i] = 1.0 if u > 0.0 else 0.0, 0.0
            if i > 0:
                share[i - 1] = below - before
        for c in range(out.shape[0]):
            if strength[c, k] != 0.0:
                column = out[c, first : last - 1]
                for i in range(column.size):
                    column[i] += strength[c, k] * share[i]
        if wanted and moved[k] != 0.0:
            by_energy, by_variance, by_both = rows[0, first:last], rows[1, first:last], rows[2, first:last]
            for i in range(n):
                slope = moved[k] * density[i] / s
                bend = -0.5 * slope * (near[i] - e) / (s * s)
                by_energy[i] += slope
                by_variance[i] += bend
                by_both[i] += bend * e
