"""Tertiary excitation: a line of the specimen excites a second one, which excites the line that is seen.

Definition   radiation of the first line at every depth, vacancies it makes there, and the share of the second line's
             photons that end in the wanted line from there; integrals over directions and depths by Gauss's rule.
             T. Shiraiwa, N. Fujino, Jpn. J. Appl. Phys. 5 (1966) 886.
Validation   tests/matrix/test_tertiary.py: integral over three depths; fisx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.matrix.directions import DIRECTIONS

if TYPE_CHECKING:
    from xrfree.matrix.fundamental import Excitation

FloatArray = NDArray[np.float64]

_LEAST_STRENGTH = 3e-4
"""Content times line fraction below which a line takes no part as the first or the second."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_DEEPEST = 30.0
_PANEL_RATIO = 2.5


def tertiary_decays(
    model: Excitation,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    strength: FloatArray,
    areal_density: float,
) -> FloatArray:
    """Decays per line by tertiary excitation, before the factors that all excitation shares, shape (n_lines,).

    T_l = Σ_k s_k F_l(E_k) ∫ dz V_k(z) R_kl(z)
    V_k(z) = Σ_j s_j F_k(E_j) ∫ dz' ½ E1(μ_j |z - z'|) Σ_E N F_j exp(-a z')
    R_kl(z) = ∫ dz' ½ E1(μ_k |z - z'|) exp(-b_l z')

    attenuation : a (tube), b (lines), μ (exciting lines); strength : s of every exciting line.
    """
    a, b, mu = attenuation
    group, excited = model.exciting_group, model.exciting_production
    some = strength > _LEAST_STRENGTH
    second = some & (excited[model.line_group].max(axis=0) > 0.0)
    hit = np.unique(group[second])
    first = some & (excited[hit].max(axis=0, initial=0.0) > 0.0)
    if not (first.any() and second.any()):
        return np.zeros(b.size)
    depth, weight = _depths(a, b, mu[first | second], areal_density)
    production = (model.flux * model.group_production)[group[first]]
    light = _light(a, mu[first], production, depth, areal_density)
    vacancies = (excited[:, first] * strength[first]) @ light * weight
    seen = _seen(b, mu[second], vacancies[group[second]], depth, areal_density)
    return np.asarray((excited[model.line_group][:, second] * strength[second] * seen).sum(axis=1))


def _depths(a: FloatArray, b: FloatArray, mu: FloatArray, areal_density: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of depth (g/cm²) on panels that grow by a constant ratio from the surface on."""
    steepest = max(float(a.max()), float(b.max()), float(mu.max()))
    deepest = min(areal_density, _DEEPEST / min(float(a.min()), float(b.min()), float(mu.min())))
    start = min(0.1 / steepest, 0.5 * deepest)
    n_panels = int(np.ceil(np.log(deepest / start) / np.log(_PANEL_RATIO)))
    ends = np.concatenate([[0.0], np.geomspace(start, deepest, n_panels + 1)])
    half = 0.5 * np.diff(ends)[:, None]
    middle = 0.5 * (ends[1:] + ends[:-1])[:, None]
    return (middle + half * _NODES).ravel(), (half * _WEIGHTS).ravel()


def _shares(decay: FloatArray, mu: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Decays m = μ/x, and ½ dx/x of 1/(m - a) and 1/(m + a), shapes (n_mu, n_x) and (n_decay, n_mu, n_x)."""
    cosine, weight = DIRECTIONS
    m = mu[:, None] / cosine
    half = 0.5 * weight / cosine
    return m, half / (m - decay[:, None, None]), half / (m + decay[:, None, None])


def _light(
    a: FloatArray, mu: FloatArray, production: FloatArray, depth: FloatArray, areal_density: float
) -> FloatArray:
    """∫ dz' ½ E1(μ_j |z - z'|) Σ_E N F_j exp(-a z') at every depth z, shape (n_first, n_depths).

    For one direction: [exp(-a z) - exp(-m z)] / (m - a) from above, [exp(-a z) - exp(-a T - m (T - z))] / (m + a) from
    below.
    """
    m, above, below = _shares(a, mu)
    local = production.T * (above + below).sum(axis=2)
    found = local.T @ np.exp(-np.outer(a, depth))
    from_top = (production.T[:, :, None] * above).sum(axis=0)
    found -= np.einsum("jx,jxz->jz", from_top, np.exp(-m[:, :, None] * depth))
    if np.isfinite(areal_density):
        from_back = ((production * np.exp(-a * areal_density)).T[:, :, None] * below).sum(axis=0)
        found -= np.einsum("jx,jxz->jz", from_back, np.exp(-m[:, :, None] * (areal_density - depth)))
    return np.asarray(found)


def _seen(b: FloatArray, mu: FloatArray, vacancies: FloatArray, depth: FloatArray, areal_density: float) -> FloatArray:
    """Σ_z V_k(z) R_kl(z), shape (n_lines, n_second); vacancies : V_k dz, shape (n_second, n_depths)."""
    m, above, below = _shares(b, mu)
    local = np.exp(-np.outer(b, depth)) @ vacancies.T
    found = local * (above + below).sum(axis=2)
    from_top = np.einsum("kz,kxz->kx", vacancies, np.exp(-m[:, :, None] * depth))
    found -= (above * from_top).sum(axis=2)
    if np.isfinite(areal_density):
        from_back = np.einsum("kz,kxz->kx", vacancies, np.exp(-m[:, :, None] * (areal_density - depth)))
        found -= np.exp(-b * areal_density)[:, None] * (below * from_back).sum(axis=2)
    return np.asarray(found)
