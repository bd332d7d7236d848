"""Backgrounds for other work: a polynomial, and peak clipping (SNIP); the model's own is in `templates`.

Definition   SNIP: v = ln[ln(√(n + 1) + 1) + 1] of the smoothed counts; v_i <- min(v_i, (v_{i-p} + v_{i+p})/2) for p
             from the half width of the widest peak down to 1; back.
             C. G. Ryan et al., NIM B 34 (1988) 396; M. Morháč et al., NIM A 401 (1997) 113
Validation   tests/fit/test_background.py: backgrounds under single peaks are found, overlapping bands refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from xrfree.errors import FitError
from xrfree.fit.inputs import Light, Templates
from xrfree.instrument import FWHM_PER_SIGMA, Response
from xrfree.method import overlapping_groups

FloatArray = NDArray[np.float64]

_CLIPPED_FWHM = 2.0
"""Half width of the window in full widths at half maximum: a peak with its Kα2 or Lα2 lies well inside."""
_SMOOTHED_SIGMA = 0.7
"""Smoothing before clipping, in σ of a peak: clipping would follow the lowest of the noise."""
_GRID_SIGMA = 0.25
_MARGIN_SIGMA = 8.0
_MAIN_SHARE = 0.1
"""Share of a group's strongest line from which on a line counts when overlaps are looked for."""


def clipped(counts: FloatArray, sigma_channels: FloatArray) -> FloatArray:
    """Background under peaks by clipping, counts per channel, shape (n_channels,).

    sigma_channels : standard deviation of a peak in every channel, in channels.
    """
    smooth = gaussian_filter1d(np.asarray(counts, dtype=np.float64), _SMOOTHED_SIGMA * float(np.median(sigma_channels)))
    level = np.log(np.log(np.sqrt(np.maximum(smooth, 0.0) + 1.0) + 1.0) + 1.0)
    reach = np.rint(_CLIPPED_FWHM * FWHM_PER_SIGMA * sigma_channels).astype(np.int64)
    for p in range(int(reach.max()), 0, -1):
        padded = np.pad(level, p, mode="edge")
        mean = 0.5 * (padded[: level.size] + padded[2 * p :])
        level = np.where(p <= reach, np.minimum(level, mean), level)
    return np.asarray((np.exp(np.exp(level) - 1.0) - 1.0) ** 2 - 1.0)


def even_light(low_kev: float, high_kev: float, response: Response, crystal: str) -> Light:
    """Light of the same strength at all energies that reach a range, for polynomials."""
    sigma = response.sigma_kev(np.array([low_kev, high_kev]), crystal)
    first, last = max(low_kev - _MARGIN_SIGMA * sigma[0], 0.0), high_kev + _MARGIN_SIGMA * sigma[1]
    n = int(np.ceil((last - first) / (_GRID_SIGMA * sigma[0]))) + 1
    return Light(energy_kev=np.linspace(first, last, n), strength=np.ones(n))


def refuse_clipping(
    templates: Templates, ranges_kev: tuple[tuple[float, float], ...], response: Response, crystal: str
) -> None:
    """Raise FitError where clipping would take overlapping lines for background."""
    owner = templates.cluster_group[templates.line_cluster]
    strongest = np.zeros(len(templates.groups))
    np.maximum.at(strongest, owner, templates.strength)
    main = templates.strength > _MAIN_SHARE * strongest[owner]
    energy = templates.energy_kev
    main &= np.any([(energy > low) & (energy < high) for low, high in ranges_kev], axis=0)
    lines = [(templates.groups[k], float(e)) for k, e in zip(owner[main], energy[main], strict=True)]
    fwhm = FWHM_PER_SIGMA * response.sigma_kev(np.array([e for _, e in lines]), crystal)
    found = overlapping_groups(lines, fwhm.tolist())
    if found is not None:
        raise FitError(found)
