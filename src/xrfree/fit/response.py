"""From photons to counts per channel: the detector's response applied to lines and smooth light.

Definition   `xrfree.instrument.Response`; escape after S. J. B. Reed, N. G. Ware, J. Phys. E 5 (1972) 582.
Validation   tests/fit/test_response.py: counts are conserved, escape against Monte Carlo integration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import _tables, emission_lines
from xrfree.fit.inputs import Light, Templates
from xrfree.instrument import Response
from xrfree.kernels.lineshape import DERIVATIVES, add_lines, add_smooth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LOWEST_ESCAPE_KEV = 0.3
_ONE_PEAK_KEV = 0.01
"""Lines of the crystal that lie closer together make one escape peak."""
_WEAK_SHARE = 0.05
"""Share of a line of the crystal below which smooth light has no escape of its own by it."""
_PER_LINE = ("energy_kev", "strength", "half_width_kev", "is_k", "column")
_MOVES = 3
"""Number of the first rows of `DERIVATIVES`: energy and width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Line clusters as the detector shows them, counts per channel for the templates' strengths.

    peaks : shape (n_clusters, n_channels); escape : the same photons' escape peaks for escape scale 1.
    """

    peaks: FloatArray
    escape: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Photons:
    """Everything that meets the detector, listed once for many evaluations.

    energy_kev, strength, half_width_kev, is_k : of lines and escape peaks, shape (n_lines,).
    column : cluster of a line; n_clusters + cluster of an escape peak.
    light_kev : energies of smooth light, shape (n_light,).
    light_strength : shape (n_columns + n_clusters, n_light): columns of scattered light, then shoulders of clusters.
    """

    n_clusters: int
    energy_kev: FloatArray
    strength: FloatArray
    half_width_kev: FloatArray
    is_k: NDArray[np.bool_]
    column: IntArray
    light_kev: FloatArray
    light_strength: FloatArray

    @property
    def n_columns(self) -> int:
        """Number of columns of scattered light."""
        return int(self.light_strength.shape[0]) - self.n_clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class Escape:
    """Escape peaks of some photons by the crystal's own K lines.

    lost_kev : energies of these lines, shape (n_own,); share : of each in its element's K photons.
    counts : of each escape peak per count in the parent peak, shape (n_own, n_photons).
    """

    lost_kev: FloatArray
    share: FloatArray
    counts: FloatArray


def escape_probability(energy_kev: FloatArray, crystal: str) -> FloatArray:
    """Counts of all escape peaks per count in the parent peak, normal incidence on a thick crystal, shape (n,).

    η = Σ_j η_j,  η_j = ½ ω_e c_e τ_eK/μ f_j [1 - (μ_j/μ) ln(1 + μ/μ_j)],  p_j = η_j / (1 - η)     Reed & Ware 1972
    j the K lines of the crystal's elements e of mass fraction c_e (Si; Ge; Cd and Te): ω_e yield and τ_eK cross section
    of the K shell for the photon (`energy_kev`), μ the crystal's photo-absorption for it, f_j share of the line in its
    series and μ_j the crystal's attenuation for its photons. That Te Kα may excite Cd on its way is left out.
    """
    return np.asarray(_escapes(energy_kev, crystal).counts.sum(axis=0))


def _own_lines(element: str) -> list[tuple[float, float]]:
    """Energies (keV) and shares of an element's K lines; lines that no detector tells apart are one."""
    peaks: list[list[float]] = []
    for line in sorted(emission_lines(element, "K"), key=lambda line: -line.line_fraction):
        near = [peak for peak in peaks if abs(peak[0] - line.energy_kev) < _ONE_PEAK_KEV]
        if near:
            near[0][1] += line.line_fraction
        else:
            peaks.append([line.energy_kev, line.line_fraction])
    return [(energy, share) for energy, share in peaks]


def _escapes(energy_kev: FloatArray, crystal: str) -> Escape:
    """Escape peaks of photons of these energies."""
    contents = {_tables.atomic_number(e): (e, c) for e, c in _tables.parse_formula(crystal).items()}
    own = [(z, energy, share) for z, (element, _) in contents.items() for energy, share in _own_lines(element)]
    own_kev, share = np.array([energy for _, energy, _ in own]), np.array([share for _, _, share in own])
    above = energy_kev > min(_tables.edge_energy_kev(z, "K") for z in contents)
    energy = energy_kev[above]
    photo = sum(c * _tables.photo_absorption(z, energy) for z, (_, c) in contents.items())
    own_mu = sum(c * _tables.total_attenuation(z, own_kev) for z, (_, c) in contents.items())
    made = {
        z: c * _tables.vacancy_transfer(z, "K")["K"] * _tables.shell_photo_absorption(z, "K", energy) / photo
        for z, (_, c) in contents.items()
    }
    ratio = photo / np.asarray(own_mu)[:, None]
    eta = 0.5 * np.array([made[z] for z, _, _ in own]) * share[:, None] * (1.0 - np.log1p(ratio) / ratio)
    counts = np.zeros((own_kev.size, energy_kev.size))
    counts[:, above] = eta / (1.0 - eta.sum(axis=0))
    return Escape(lost_kev=own_kev, share=share, counts=counts)


def photons(templates: Templates, crystal: str, columns: Sequence[Light] = ()) -> Photons:
    """Lines with their escape peaks, shoulders, and columns of scattered light.

    An escape peak has the natural width of its line; that of the crystal's own line is a quarter of it and left out.
    """
    escape = _escapes(templates.energy_kev, crystal)
    parts = [(templates.energy_kev, templates.strength, templates.half_width_kev, templates.line_cluster)]
    n = len(templates.clusters)
    is_k = [templates.is_k]
    for lost_kev, probability in zip(escape.lost_kev, escape.counts, strict=True):
        lowered = templates.energy_kev - lost_kev
        seen = (probability > 0.0) & (lowered > _LOWEST_ESCAPE_KEV)
        strength = probability[seen] * templates.strength[seen]
        parts.append((lowered[seen], strength, templates.half_width_kev[seen], templates.line_cluster[seen] + n))
        is_k.append(templates.is_k[seen])
    energy, strength, half_width, column = (np.concatenate(part) for part in zip(*parts, strict=True))
    light_kev, light_strength = _with_escape(*_light(templates, columns), crystal)
    return Photons(
        n_clusters=n,
        energy_kev=energy,
        strength=strength,
        half_width_kev=half_width,
        is_k=np.concatenate(is_k),
        column=column.astype(np.int64),
        light_kev=light_kev,
        light_strength=light_strength,
    )


def with_escape(light: Light, crystal: str) -> Light:
    """Smooth light with its escape peaks; the strengths given count photons of full energy, as those of lines do."""
    energy, strength = _with_escape(light.energy_kev, light.strength, crystal)
    return Light(energy_kev=energy, strength=strength)


def _with_escape(energy_kev: FloatArray, strength: FloatArray, crystal: str) -> tuple[FloatArray, FloatArray]:
    """Energies and strengths, shape (..., n_energies), followed by those of the escape peaks.

    Of smooth light, weak lines of the crystal are put with the nearest strong one.
    """
    escape = _escapes(energy_kev, crystal)
    strong = escape.lost_kev[escape.share > _WEAK_SHARE]
    counts = np.zeros((strong.size, energy_kev.size))
    np.add.at(counts, np.abs(escape.lost_kev[:, None] - strong).argmin(axis=1), escape.counts)
    energies, strengths = [energy_kev], [strength]
    for lost_kev, probability in zip(strong, counts, strict=True):
        lowered = energy_kev - lost_kev
        seen = (probability > 0.0) & (lowered > _LOWEST_ESCAPE_KEV)
        energies.append(lowered[seen])
        strengths.append(probability[seen] * strength[..., seen])
    return np.concatenate(energies), np.concatenate(strengths, axis=-1)


def _light(templates: Templates, columns: Sequence[Light]) -> tuple[FloatArray, FloatArray]:
    """All energies of smooth light, each once, and their strengths in every column."""
    shoulder = templates.shoulder
    lists = [light.energy_kev for light in columns] + [shoulder.energy_kev]
    energy, place = np.unique(np.concatenate(lists), return_inverse=True)
    owner = [np.full(light.energy_kev.size, k) for k, light in enumerate(columns)]
    owner.append(len(columns) + templates.shoulder_cluster)
    strength = np.zeros((len(columns) + len(templates.clusters), energy.size))
    np.add.at(
        strength,
        (np.concatenate(owner).astype(np.int64), place),
        np.concatenate([light.strength for light in columns] + [shoulder.strength]),
    )
    return energy, strength


def half_widths_of(lines: Photons, response: Response) -> FloatArray:
    """Half widths (keV) of all Lorentzians as this instrument shows them, shape (n_lines,)."""
    return lines.half_width_kev * np.where(lines.is_k, response.width_factor_k, response.width_factor_l)


def spread(lines: Photons, edges_kev: FloatArray, response: Response, crystal: str) -> tuple[Spread, FloatArray]:
    """Counts per channel of every cluster, and of every column of scattered light, shape (n_columns, n_channels)."""
    nothing = np.zeros((0, edges_kev.size))
    amplitude, coefficient = np.zeros(2 * lines.n_clusters), np.zeros(lines.n_columns)
    return _spread(nothing, lines, amplitude, coefficient, edges_kev, response, crystal)


def spread_and_derivatives(
    lines: Photons,
    amplitude: FloatArray,
    coefficient: FloatArray,
    edges_kev: FloatArray,
    response: Response,
    crystal: str,
    *,
    everything: bool = True,
) -> tuple[Spread, FloatArray, FloatArray]:
    """`spread`, and derivatives of all cumulative counts at the edges, rows of `kernels.lineshape.DERIVATIVES`.

    amplitude : shape (2 n_clusters,), factors of peaks and escape peaks; coefficient : shape (n_columns,), of the
    columns of scattered light. everything : False for the first three rows (energy and width) alone.
    """
    rows = np.zeros((len(DERIVATIVES) if everything else _MOVES, edges_kev.size))
    return *_spread(rows, lines, amplitude, coefficient, edges_kev, response, crystal), rows


def _spread(
    rows: FloatArray,
    lines: Photons,
    amplitude: FloatArray,
    coefficient: FloatArray,
    edges_kev: FloatArray,
    response: Response,
    crystal: str,
) -> tuple[Spread, FloatArray]:
    """Clusters and columns of light; derivatives are added to `rows`."""
    n, n_channels = lines.n_clusters, edges_kev.size - 1
    clusters = np.zeros((2 * n, n_channels))
    moved = amplitude[lines.column] * lines.strength
    _add(clusters, rows, lines.column, lines.strength, moved, lines, edges_kev, response, crystal)
    light = np.zeros((lines.n_columns + n, n_channels))
    moved = np.concatenate([coefficient, amplitude[:n]]) @ lines.light_strength
    sigma = response.sigma_kev(lines.light_kev, crystal)
    add_smooth(light, rows, edges_kev, lines.light_kev, lines.light_strength, moved, sigma)
    clusters[:n] += light[lines.n_columns :]
    return Spread(peaks=clusters[:n], escape=clusters[n:]), light[: lines.n_columns]


def summed(
    lines: Photons, amplitude: FloatArray, owner: IntArray, edges_kev: FloatArray, response: Response, crystal: str
) -> FloatArray:
    """Counts per channel of clusters times `amplitude`, summed over the clusters of one owner.

    amplitude, owner : shape (2 n_clusters,), of peaks with their shoulders and of escape peaks; result of shape
    (largest owner + 1, n_channels).
    """
    n_owners = int(owner.max()) + 1
    total = np.zeros((n_owners, edges_kev.size - 1))
    strength = amplitude[lines.column] * lines.strength
    rows = np.zeros((0, edges_kev.size))
    _add(total, rows, owner[lines.column], strength, strength, lines, edges_kev, response, crystal)
    share = np.zeros((n_owners, lines.n_clusters))
    share[owner[: lines.n_clusters], np.arange(lines.n_clusters)] = amplitude[: lines.n_clusters]
    shoulder = share @ lines.light_strength[lines.n_columns :]
    lit = shoulder.any(axis=0)
    energy, shoulder = lines.light_kev[lit], np.ascontiguousarray(shoulder[:, lit])
    add_smooth(total, rows, edges_kev, energy, shoulder, energy, response.sigma_kev(energy, crystal))
    return total


def _add(
    out: FloatArray,
    rows: FloatArray,
    column: IntArray,
    strength: FloatArray,
    moved: FloatArray,
    lines: Photons,
    edges_kev: FloatArray,
    response: Response,
    crystal: str,
) -> None:
    energy = lines.energy_kev
    add_lines(
        out,
        rows,
        column,
        edges_kev,
        energy,
        strength,
        moved,
        response.sigma_kev(energy, crystal),
        half_widths_of(lines, response),
        response.tail_share(energy),
        response.tail_scale(energy),
        response.shelf_share(energy),
        lines.is_k,
        response.loss_derivatives(energy),
        response.wing_reach * lines.half_width_kev,
    )


def moves(
    lines: Photons, amplitude: FloatArray, light: FloatArray, edges_kev: FloatArray, response: Response, crystal: str
) -> tuple[FloatArray, FloatArray]:
    """Counts per channel of lines times `amplitude` and of smooth light, and the first rows of their derivatives.

    amplitude : shape (2 n_clusters,), of peaks and escape peaks; light : shape (n_light,), strengths.
    """
    keep = amplitude[lines.column] != 0.0
    own = replace(lines, **{name: getattr(lines, name)[keep] for name in _PER_LINE})
    lit = light != 0.0
    own = replace(own, light_kev=lines.light_kev[lit], light_strength=np.zeros((lines.n_clusters + 1, lit.sum())))
    own.light_strength[0] = light[lit]
    counts, rows = np.zeros((1, edges_kev.size - 1)), np.zeros((_MOVES, edges_kev.size))
    strength = amplitude[own.column] * own.strength
    _add(counts, rows, np.zeros(strength.size, dtype=np.int64), strength, strength, own, edges_kev, response, crystal)
    sigma = response.sigma_kev(own.light_kev, crystal)
    add_smooth(counts, rows, edges_kev, own.light_kev, own.light_strength[:1], own.light_strength[0], sigma)
    return counts[0], rows


def spread_lines(templates: Templates, edges_kev: FloatArray, response: Response, crystal: str) -> Spread:
    """Counts per channel of every cluster, peaks and escape peaks apart.

    edges_kev : shape (n_channels + 1,), true energies of the channel edges.
    """
    return spread(photons(templates, crystal), edges_kev, response, crystal)[0]


def spread_light(light: Light, edges_kev: FloatArray, response: Response, crystal: str) -> FloatArray:
    """Counts per channel of a smooth list of energies, shape (n_channels,)."""
    out, rows = np.zeros((1, edges_kev.size - 1)), np.zeros((0, edges_kev.size))
    sigma = response.sigma_kev(light.energy_kev, crystal)
    add_smooth(out, rows, edges_kev, light.energy_kev, light.strength[None, :], light.strength, sigma)
    return np.asarray(out[0])
