"""What a detector makes of a list of lines: counts per channel, integrated over each channel.

Definition   cumulative distribution of a line at the channel edges, then differences, so that counts are conserved.
             Core: Voigt profile, expanded to third order in the natural width over the Gaussian width.
             Tail: exponential towards low energy folded with the Gaussian. Shelf: even from 0 to the line.
Validation   tests/kernels/test_lineshape.py: scipy.special.voigt_profile, numerical folding, conservation of counts.
"""

from __future__ import annotations

from math import erfc, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels._kernel import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ROOT_2 = sqrt(2.0)
_ROOT_2PI = sqrt(2.0 * pi)
_FAR = 8.0
_STEP = 0.4
_DAWSON = np.array([exp(-(((2 * i + 1) * _STEP) ** 2)) for i in range(8)])


@kernel
def dawson(x: float) -> float:
    """Dawson's integral D(x) = exp(-x²) ∫_0^x exp(t²) dt, to 1e-7.

    Rybicki's sum, G. B. Rybicki, Comput. Phys. 3 (1989) 85; asymptotic series beyond |x| = 9.
    """
    size = abs(x)
    if size > 9.0:
        r = 0.5 / (x * x)
        return (1.0 + r * (1.0 + 3.0 * r * (1.0 + 5.0 * r * (1.0 + 7.0 * r)))) * 0.5 / x
    if size < 0.2:
        y = x * x
        return x * (1.0 - 2.0 / 3.0 * y * (1.0 - 0.4 * y * (1.0 - 2.0 / 7.0 * y * (1.0 - 2.0 / 9.0 * y))))
    n0 = 2 * int(0.5 * size / _STEP + 0.5)
    offset = size - n0 * _STEP
    grow = exp(2.0 * offset * _STEP)
    square = grow * grow
    up, down = float(n0 + 1), float(n0 - 1)
    total = 0.0
    for i in range(_DAWSON.size):
        total += _DAWSON[i] * (grow / up + 1.0 / (down * grow))
        up += 2.0
        down -= 2.0
        grow *= square
    value = exp(-offset * offset) * total / sqrt(pi)
    return value if x > 0.0 else -value


@kernel
def _far_from_line(
    distance: float,
    sigma: float,
    half_width: float,
    tail: float,
    tail_scale: float,
    shelf: float,
    energy: float,
    reach: float,
) -> float:
    """`cumulative_line` more than 8 sigma away: Gaussian and its products are 0 or 1 to 1e-15 there."""
    wing = min(max(distance, -reach), reach)
    square = sigma * sigma / (wing * wing)
    core = -(1.0 - tail - shelf) * half_width / (pi * wing) * (1.0 + square * (1.0 + 3.0 * square))
    if distance > 0.0:
        return 1.0 - shelf + core
    if tail > 0.0:
        s = sigma / tail_scale
        exponent = distance / tail_scale + 0.5 * s * s
        core += tail * exp(exponent) * 0.5 * erfc((distance / sigma + s) / _ROOT_2)
    return core + shelf * distance / energy


@kernel
def cumulative_line(
    distance: float,
    sigma: float,
    half_width: float,
    tail: float,
    tail_scale: float,
    shelf: float,
    energy: float,
    reach: float,
) -> float:
    """Counts of one line of unit area below `distance` = E - E0 (keV), up to a constant.

    core   Φ(u) - g √2/(πσ) D(t) + g² u φ(u) / (2σ²) + g³ √2/(12πσ³) D''(t),  u = distance/σ, t = u/√2, g half width
    tail   Φ(u) + exp(distance/β + σ²/2β²) Φ̄(u + σ/β)
    shelf  [distance Φ̄(u) - σ φ(u)] / E0
    The wings of the natural width end at `reach` (keV) from the line, at least 8 σ.
    """
    u = distance / sigma
    if abs(u) > _FAR:
        return _far_from_line(distance, sigma, half_width, tail, tail_scale, shelf, energy, max(reach, _FAR * sigma))
    t = u / _ROOT_2
    below = 0.5 * erfc(-t)
    density = exp(-t * t) / _ROOT_2PI if abs(u) < 38.0 else 0.0
    core = below
    if half_width > 0.0:
        d = dawson(t)
        curvature = -2.0 * d - 2.0 * t * (1.0 - 2.0 * t * d)
        g = half_width / sigma
        core += -g * _ROOT_2 / pi * d + 0.5 * g * g * u * density + g * g * g * _ROOT_2 / (12.0 * pi) * curvature
    value = (1.0 - tail - shelf) * core
    if tail > 0.0:
        s = sigma / tail_scale
        argument = distance / tail_scale + 0.5 * s * s
        lifted = exp(argument) * 0.5 * erfc((u + s) / _ROOT_2) if argument < 600.0 and u + s < 37.0 else 0.0
        value += tail * (below + lifted)
    if shelf > 0.0:
        value += shelf * (distance * 0.5 * erfc(t) - sigma * density) / energy
    return value


@kernel
def add_lines(
    out: FloatArray,
    column: IntArray,
    edges: FloatArray,
    energy: FloatArray,
    area: FloatArray,
    sigma: FloatArray,
    half_width: FloatArray,
    tail: FloatArray,
    tail_scale: FloatArray,
    shelf: FloatArray,
    reach: float,
) -> None:
    """Add every line to its column of `out`.

    out : shape (n_columns, n_channels), changed in place.
    column : shape (n_lines,), row of `out` each line belongs to.
    edges : shape (n_channels + 1,), keV; the counts below 0 keV are not a shelf's.
    energy, area, sigma, half_width, tail, tail_scale, shelf : shape (n_lines,); keV and shares of the area.
    reach : distance (keV) to which the wings of the natural width are followed.
    """
    n_channels = edges.size - 1
    for k in range(energy.size):
        row = out[column[k]]
        before = cumulative_line(
            edges[0] - energy[k], sigma[k], half_width[k], tail[k], tail_scale[k], shelf[k], energy[k], reach
        )
        for i in range(n_channels):
            after = cumulative_line(
                edges[i + 1] - energy[k], sigma[k], half_width[k], tail[k], tail_scale[k], shelf[k], energy[k], reach
            )
            row[i] += area[k] * (after - before)
            before = after


@kernel
def add_line_derivatives(
    shift: FloatArray,
    broadening: FloatArray,
    edges: FloatArray,
    energy: FloatArray,
    area: FloatArray,
    sigma: FloatArray,
    half_width: FloatArray,
    weight: FloatArray,
) -> None:
    """Add the derivatives of the Gaussian cores of all lines together.

    shift : shape (n_channels,), by a common rise of every line's energy.
    broadening : shape (2, n_channels), by σ² (keV²), for the weights 1 and `weight` (shape (n_lines,)).
    """
    n_channels = edges.size - 1
    for k in range(energy.size):
        reach = 7.0 * sigma[k]
        # The Lorentzian widens the core; its effect on these derivatives is that of a slightly larger sigma.
        s = sqrt(sigma[k] * sigma[k] + 0.5 * half_width[k] * half_width[k])
        for i in range(n_channels):
            low, high = edges[i] - energy[k], edges[i + 1] - energy[k]
            if high < -reach or low > reach:
                continue
            u0, u1 = low / s, high / s
            p0, p1 = exp(-0.5 * u0 * u0) / (_ROOT_2PI * s), exp(-0.5 * u1 * u1) / (_ROOT_2PI * s)
            shift[i] -= area[k] * (p1 - p0)
            wider = 0.5 * area[k] * (u0 * p0 - u1 * p1) / s
            broadening[0, i] += wider
            broadening[1, i] += wider * weight[k]


@kernel
def add_smooth(out: FloatArray, edges: FloatArray, energy: FloatArray, area: FloatArray, sigma: FloatArray) -> None:
    """Add many narrow contributions that together make a smooth curve: Gaussians within 7 sigma.

    out : shape (n_channels,), changed in place; energy, area, sigma : shape (n,).
    """
    n_channels = edges.size - 1
    for k in range(energy.size):
        reach = 7.0 * sigma[k]
        first = max(0, np.searchsorted(edges, energy[k] - reach) - 1)
        last = min(n_channels, np.searchsorted(edges, energy[k] + reach))
        if first >= last:
            continue
        scale = 1.0 / (_ROOT_2 * sigma[k])
        before = 0.5 * erfc((energy[k] - edges[first]) * scale)
        for i in range(first, last):
            after = 0.5 * erfc((energy[k] - edges[i + 1]) * scale)
            out[i] += area[k] * (after - before)
            before = after
