"""From photons to counts per channel: the detector's response applied to lines and smooth light.

Definition   `xrfree.instrument.Response`; escape after S. J. B. Reed, N. G. Ware, J. Phys. E 5 (1972) 582.
Validation   tests/fit/test_response.py: counts are conserved, escape against Monte Carlo integration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import XrayLine, _tables
from xrfree.fit.inputs import Light, Templates
from xrfree.instrument import Response
from xrfree.kernels.lineshape import add_line_derivatives, add_lines, add_smooth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Line clusters as the detector shows them, counts per channel for the templates' strengths.

    peaks : shape (n_clusters, n_channels); escape : the same photons' escape peaks for escape scale 1.
    """

    peaks: FloatArray
    escape: FloatArray


def escape_probability(energy_kev: FloatArray, crystal: str) -> FloatArray:
    """Escape peak counts per count in the parent peak, normal incidence on a thick crystal.

    η = ½ ω (1 - 1/r) [1 - (μ_K/μ) ln(1 + μ/μ_K)],  p = η / (1 - η)                      Reed & Ware 1972
    ω yield and r jump ratio of the crystal's K shell, μ its attenuation for the photon, μ_K for its own Kα.
    """
    z = _tables.atomic_number(crystal)
    edge = _tables.edge_energy_kev(z, "K")
    probability = np.zeros_like(energy_kev)
    above = energy_kev > edge
    energy = energy_kev[above]
    photo = _tables.photo_absorption(z, energy)
    k_share = _tables.shell_photo_absorption(z, "K", energy) / photo
    own = _tables.total_attenuation(z, np.array([XrayLine(crystal, "K-L3").energy_kev]))[0]
    ratio = photo / own
    leaving = 1.0 - np.log1p(ratio) / ratio
    eta = 0.5 * _tables.vacancy_transfer(z, "K")["K"] * k_share * leaving
    probability[above] = eta / (1.0 - eta)
    return probability


def _escaping(crystal: str) -> list[tuple[float, float]]:
    """Energies (keV) and shares of the crystal's escaping Kα and Kβ photons."""
    alpha, beta = XrayLine(crystal, "K-L3"), XrayLine(crystal, "K-M3")
    share = beta.line_fraction * 1.5
    return [(alpha.energy_kev, 1.0 - share), (beta.energy_kev, share)]


def half_widths(templates: Templates, response: Response) -> FloatArray:
    """Half widths (keV) of the lines' Lorentzians as this instrument shows them, shape (n_lines,)."""
    return templates.half_width_kev * np.where(templates.is_k, response.width_factor_k, response.width_factor_l)


def spread_lines(templates: Templates, edges_kev: FloatArray, response: Response, crystal: str) -> Spread:
    """Counts per channel of every cluster, peaks and escape peaks apart.

    edges_kev : shape (n_channels + 1,), true energies of the channel edges.
    """
    n_clusters, n_channels = len(templates.clusters), edges_kev.size - 1
    peaks = np.zeros((n_clusters, n_channels))
    _add(
        peaks,
        templates.line_cluster,
        templates.energy_kev,
        templates.strength,
        half_widths(templates, response),
        edges_kev,
        response,
        crystal,
    )
    _add_shoulders(peaks, templates, edges_kev, response, crystal)
    escape = np.zeros((n_clusters, n_channels))
    probability = escape_probability(templates.energy_kev, crystal)
    for energy_kev, share in _escaping(crystal):
        lowered = templates.energy_kev - energy_kev
        seen = (probability > 0.0) & (lowered > 0.3)
        strength = share * probability[seen] * templates.strength[seen]
        _add(
            escape,
            templates.line_cluster[seen],
            lowered[seen],
            strength,
            np.zeros(seen.sum()),
            edges_kev,
            response,
            crystal,
        )
    return Spread(peaks=peaks, escape=escape)


def _add_shoulders(
    peaks: FloatArray, templates: Templates, edges_kev: FloatArray, response: Response, crystal: str
) -> None:
    light, owner = templates.shoulder, templates.shoulder_cluster
    sigma = response.sigma_kev(light.energy_kev, crystal)
    for cluster in np.unique(owner):
        mine = owner == cluster
        add_smooth(peaks[cluster], edges_kev, light.energy_kev[mine], light.strength[mine], sigma[mine])


def _add(
    out: FloatArray,
    column: IntArray,
    energy: FloatArray,
    strength: FloatArray,
    half_width: FloatArray,
    edges_kev: FloatArray,
    response: Response,
    crystal: str,
) -> None:
    add_lines(
        out,
        column,
        edges_kev,
        energy,
        strength,
        response.sigma_kev(energy, crystal),
        half_width,
        response.tail_share(energy),
        response.tail_scale(energy),
        response.shelf_share(energy),
        response.wing_reach_kev,
    )


def spread_light(light: Light, edges_kev: FloatArray, response: Response, crystal: str) -> FloatArray:
    """Counts per channel of a smooth list of energies, shape (n_channels,)."""
    out = np.zeros(edges_kev.size - 1)
    add_smooth(out, edges_kev, light.energy_kev, light.strength, response.sigma_kev(light.energy_kev, crystal))
    return out


def line_derivatives(
    templates: Templates, amplitude: FloatArray, edges_kev: FloatArray, response: Response, crystal: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Derivatives of the summed peaks by line energy, by σ², and by σ² proportional to energy.

    amplitude : shape (n_clusters,), factor of each cluster's strength.
    """
    shift = np.zeros(edges_kev.size - 1)
    broadening = np.zeros((2, edges_kev.size - 1))
    energy = templates.energy_kev
    add_line_derivatives(
        shift,
        broadening,
        edges_kev,
        energy,
        amplitude[templates.line_cluster] * templates.strength,
        response.sigma_kev(energy, crystal),
        half_widths(templates, response),
        energy,
    )
    return shift, broadening[0], broadening[1]
