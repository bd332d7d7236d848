"""Detector response: counts are conserved, escape peaks lie and weigh as they should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xrfree.atomic import XrayLine, _tables, atomic_number, emission_lines
from xrfree.fit import Light, LineCluster, Templates
from xrfree.fit.response import (
    escape_probability,
    half_widths_of,
    photons,
    spread,
    spread_and_derivatives,
    spread_light,
    spread_lines,
    summed,
    with_escape,
)
from xrfree.instrument import CRYSTAL_DENSITY_G_CM3, Response

FloatArray = NDArray[np.float64]
PLAIN = Response(noise_kev=0.032, fano=0.117)
TAILED = Response(noise_kev=0.032, fano=0.117, tail_log_share=-4.0, tail_fall=2.0, tail_rest=0.5, shelf_log_share=-5.0)
WIDE = np.concatenate([np.arange(0.0, 10.0, 0.01), [14.0]])


class Band(Protocol):
    templates: Templates

    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...


def one_line(energy_kev: float, strength: float) -> Templates:
    """A single line without natural width."""
    nothing = np.zeros(0)
    return Templates(
        groups=("X K",),
        clusters=(LineCluster(group="X K", name="K-L", leading=True),),
        cluster_group=np.zeros(1, dtype=np.int64),
        energy_kev=np.array([energy_kev]),
        strength=np.array([strength]),
        half_width_kev=np.zeros(1),
        is_k=np.ones(1, dtype=bool),
        line_cluster=np.zeros(1, dtype=np.int64),
        shoulder=Light(energy_kev=nothing, strength=nothing),
        shoulder_cluster=np.zeros(0, dtype=np.int64),
        continuum=Light(energy_kev=nothing, strength=nothing),
        tube=(),
    )


def sharp(templates: Templates) -> Templates:
    """The same lines without natural width."""
    return replace(templates, half_width_kev=np.zeros_like(templates.half_width_kev))


@pytest.mark.parametrize("response", [PLAIN, TAILED], ids=["plain", "tailed"])
def test_every_photon_of_a_line_becomes_one_count(band: Band, response: Response) -> None:
    peaks = spread_lines(band.templates, np.concatenate([[-5.0], WIDE]), response, "Si").peaks
    strength = np.bincount(band.templates.line_cluster, weights=band.templates.strength)
    # Of the exponential tail exp(-30) is followed; the rest is rounding.
    assert peaks.sum(axis=1) == pytest.approx(strength, rel=1e-12)


def test_shoulder_is_light_of_its_own_cluster(band: Band) -> None:
    shoulder = Light(energy_kev=np.array([4.5, 4.6, 5.0]), strength=np.array([3.0, 4.0, 5.0]))
    with_shoulder = replace(band.templates, shoulder=shoulder, shoulder_cluster=np.array([1, 1, 4]))
    added = spread_lines(with_shoulder, WIDE, PLAIN, "Si").peaks - spread_lines(band.templates, WIDE, PLAIN, "Si").peaks
    found = added.sum(axis=1)
    # Escape peaks of scattered light follow it at once: their share needs no yield of its own.
    escaped = escape_probability(shoulder.energy_kev, "Si") @ np.array([[3.0, 0.0], [4.0, 0.0], [0.0, 5.0]])
    assert found[[1, 4]] == pytest.approx(np.array([7.0, 5.0]) + escaped, rel=1e-9)
    assert np.all(np.delete(found, [1, 4]) == 0.0)


@pytest.mark.parametrize("response", [PLAIN, TAILED], ids=["plain", "tailed"])
def test_escape_peaks_hold_the_escape_probability(band: Band, response: Response) -> None:
    escape = spread_lines(sharp(band.templates), WIDE, response, "Si").escape
    probability = escape_probability(band.templates.energy_kev, "Si")
    strength = np.bincount(band.templates.line_cluster, weights=band.templates.strength * probability)
    # Tails of peaks at 2 to 5 keV reach below 0 keV by less than 1e-6 of the peak.
    assert escape.sum(axis=1) == pytest.approx(strength, rel=1e-6)


def test_escape_peak_lies_one_silicon_photon_below_its_line(band: Band) -> None:
    iron = band.templates_of(("Fe K",))
    escape = spread_lines(iron, WIDE, PLAIN, "Si").escape.sum(axis=0)
    highest = 0.5 * (WIDE[1:] + WIDE[:-1])[np.argmax(escape)]
    # Channels of 0.01 keV; Kα2 beside Kα1 is 13 eV lower.
    assert highest == pytest.approx(XrayLine("Fe", "K-L3").energy_kev - XrayLine("Si", "K-L3").energy_kev, abs=0.01)


def followed(crystal: str, energy_kev: float, n: int) -> float:
    """Escapes per count of the parent peak, photons followed one by one into a thick crystal."""
    rng = np.random.default_rng(11)
    energy = np.array([energy_kev])
    contents = [(atomic_number(e), e, c) for e, c in _tables.parse_formula(crystal).items()]
    attenuation = sum(c * _tables.photo_absorption(z, energy)[0] for z, _, c in contents)
    depth = rng.exponential(1.0 / attenuation, n)
    cosine = rng.uniform(0.0, 1.0, n)
    leaving = 0.0
    for z, element, content in contents:
        lines = emission_lines(element, "K")
        kev, share = (np.array([getattr(ln, name) for ln in lines]) for name in ("energy_kev", "line_fraction"))
        own = sum(c * _tables.total_attenuation(other, kev) for other, _, c in contents)
        drawn = np.asarray(own)[rng.choice(len(lines), n, p=share / share.sum())]
        leaves = 0.5 * float(np.mean(np.exp(-drawn * depth / cosine)))
        made = content * _tables.shell_photo_absorption(z, "K", energy)[0] / attenuation
        leaving += leaves * made * _tables.vacancy_transfer(z, "K")["K"]
    return leaving / (1.0 - leaving)


@pytest.mark.parametrize(
    ("crystal", "energy_kev"),
    [
        *(("Si", energy) for energy in (2.2, 4.65, 6.404, 9.0, 15.0)),
        *(("Ge", energy) for energy in (11.5, 15.0, 22.1, 40.0)),
        *(("CdTe", energy) for energy in (27.0, 31.0, 32.5, 50.0)),
    ],
)
def test_escape_probability_is_that_of_photons_followed_one_by_one(crystal: str, energy_kev: float) -> None:
    expected = followed(crystal, energy_kev, 400_000)
    # Scatter of 400 000 photons: 0.3 % for the hardest case (shallow light, few escapes).
    assert escape_probability(np.array([energy_kev]), crystal)[0] == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize(
    ("crystal", "energy_kev", "lost"),
    [
        ("Ge", 22.163, {"Ge K-L3", "Ge K-L2", "Ge K-M3", "Ge K-N3"}),
        ("CdTe", 30.0, {"Cd K-L3", "Cd K-L2", "Cd K-M2", "Cd K-M3", "Cd K-N3"}),
        (
            "CdTe",
            44.482,
            {f"{e} {line}" for e in ("Cd", "Te") for line in ("K-L3", "K-L2", "K-M2", "K-M3", "K-N3")},
        ),
    ],
)
def test_every_k_line_of_the_crystal_escapes_and_counts_are_conserved(
    crystal: str, energy_kev: float, lost: set[str]
) -> None:
    one = one_line(energy_kev, 1e6)
    edges = np.arange(0.0, 60.0, 0.01)
    response = Response(noise_kev=0.02, fano=1e-4)
    seen = spread_lines(one, edges, response, crystal)
    # Nothing of a line of 20 eV is outside 0 to 60 keV.
    assert seen.peaks.sum() == pytest.approx(1e6, rel=1e-9)
    assert seen.escape.sum() == pytest.approx(1e6 * escape_probability(one.energy_kev, crystal)[0], rel=1e-9)
    shares = {}
    for name in lost:
        expected = energy_kev - XrayLine(*name.split()).energy_kev
        near = np.abs(0.5 * (edges[1:] + edges[:-1]) - expected) < 0.1
        shares[name] = seen.escape[0, near].sum()
    assert min(shares.values()) > 0.0
    # No counts far from the places of the crystal's lines.
    far = np.ones(edges.size - 1, dtype=bool)
    for name in lost:
        far &= np.abs(0.5 * (edges[1:] + edges[:-1]) - energy_kev + XrayLine(*name.split()).energy_kev) > 0.15
    assert seen.escape[0, far].sum() < 1e-6 * seen.escape.sum()


@pytest.mark.parametrize("crystal", ["Si", "Ge", "CdTe"])
def test_smooth_light_escapes_as_lines_do(crystal: str) -> None:
    light = Light(energy_kev=np.linspace(30.0, 50.0, 5), strength=np.linspace(1.0, 2.0, 5))
    escaped = escape_probability(light.energy_kev, crystal)
    found = with_escape(light, crystal)
    assert found.strength.sum() == pytest.approx(float(light.strength @ (1.0 + escaped)), rel=1e-12)


@pytest.mark.parametrize("energy_kev", [30.0, 59.54])
def test_loss_of_charge_in_proportion_to_depth_is_the_exponential_tail(energy_kev: float) -> None:
    # Holes trapped in CdTe: a photon absorbed at depth z is recorded with E (1 - z / 1 cm).
    n, loss_per_cm = 1_000_000, 1.0
    rng = np.random.default_rng(5)
    mu = sum(
        share * _tables.photo_absorption(atomic_number(element), np.array([energy_kev]))[0]
        for element, share in _tables.parse_formula("CdTe").items()
    )
    depth = rng.exponential(1.0 / (mu * CRYSTAL_DENSITY_G_CM3["CdTe"]), n)
    scale_kev = energy_kev * loss_per_cm / (mu * CRYSTAL_DENSITY_G_CM3["CdTe"])
    response = Response(noise_kev=0.25, fano=0.15, tail_log_share=-0.7, tail_scale_kev=scale_kev)
    response = replace(response, tail_growth=0.0)
    trapped = rng.uniform(0.0, 1.0, n) < np.exp(-0.7)
    width = response.sigma_kev(np.array([energy_kev]), "CdTe")[0] * rng.standard_normal(n)
    edges = np.arange(energy_kev - 10.0, energy_kev + 5.0, 0.05)
    counts, _ = np.histogram(energy_kev * (1.0 - np.where(trapped, loss_per_cm * depth, 0.0)) + width, edges)
    expected = spread_lines(one_line(energy_kev, float(n)), edges, response, "CdTe").peaks[0]
    seen = expected > 10.0
    reduced = float(np.mean((counts - expected)[seen] ** 2 / expected[seen]))
    # χ² over at least 100 channels: standard deviation 0.14; three of them.
    assert reduced == pytest.approx(1.0, abs=0.42)


def test_below_the_crystals_edge_nothing_escapes() -> None:
    assert escape_probability(np.array([0.5, 1.0, 1.83]), "Si").tolist() == [0.0, 0.0, 0.0]


@given(energy_kev=st.floats(2.0, 40.0))
def test_escape_probability_falls_with_energy_and_is_a_probability(energy_kev: float) -> None:
    here, further = escape_probability(np.array([energy_kev, 1.05 * energy_kev]), "Si")
    assert 0.0 < further < here < 0.05


def test_escape_scale_is_left_to_the_model(band: Band) -> None:
    double = replace(PLAIN, escape_scale=2.0)
    once, twice = (spread_lines(band.templates, WIDE, r, "Si") for r in (PLAIN, double))
    assert np.array_equal(once.escape, twice.escape)
    assert np.array_equal(once.peaks, twice.peaks)


def test_width_factors_act_on_their_own_lines() -> None:
    response = replace(PLAIN, width_factor_k=2.0, width_factor_l=3.0)
    templates = Templates(
        groups=("Fe K",),
        clusters=(),
        cluster_group=np.zeros(0, dtype=np.int64),
        energy_kev=np.array([6.4, 4.65]),
        strength=np.ones(2),
        half_width_kev=np.array([0.001, 0.002]),
        is_k=np.array([True, False]),
        line_cluster=np.zeros(2, dtype=np.int64),
        shoulder=Light(energy_kev=np.zeros(0), strength=np.zeros(0)),
        shoulder_cluster=np.zeros(0, dtype=np.int64),
        continuum=Light(energy_kev=np.zeros(0), strength=np.zeros(0)),
        tube=(),
    )
    assert half_widths_of(photons(templates, "Si"), response)[:2] == pytest.approx([0.002, 0.006], rel=1e-12)


def test_smooth_light_is_conserved() -> None:
    light = Light(energy_kev=np.linspace(3.0, 6.0, 301), strength=np.linspace(1.0, 2.0, 301))
    # 7 σ are followed: 2.6e-12 are lost.
    assert spread_light(light, WIDE, PLAIN, "Si").sum() == pytest.approx(light.strength.sum(), rel=1e-9)


def test_derivatives_by_energy_and_width_are_finite_differences(band: Band) -> None:
    listed = photons(band.templates, "Si", [Light(energy_kev=np.array([4.4, 4.5]), strength=np.array([2.0, 1.0]))])
    n = len(band.templates.clusters)
    amplitude, coefficient = np.linspace(1.0, 2.0, 2 * n), np.array([5.0])
    rows = spread_and_derivatives(listed, amplitude, coefficient, WIDE, TAILED, "Si", everything=False)[-1]
    by = np.diff(rows, axis=1)

    def counts(response: Response, rise: float = 0.0) -> FloatArray:
        seen, light = spread(listed, WIDE + rise, response, "Si")
        return np.asarray(amplitude[:n] @ seen.peaks + amplitude[n:] @ seen.escape + coefficient @ light)

    step = 1e-4
    moved = (counts(TAILED, step) - counts(TAILED, -step)) / (2.0 * step)
    # Central differences of 1e-4 keV: (step/σ)² = 4e-6; where wings of natural widths end, 1.2 keV from a line, a
    # tenth of a per cent of the strongest. The first channel starts at 0 keV, where shelves end.
    assert by[0, 1:] == pytest.approx(moved[1:], abs=1e-3 * np.abs(moved).max())
    by_noise = counts(replace(TAILED, noise_kev=0.0325)) - counts(replace(TAILED, noise_kev=0.0315))
    expected = by_noise / (0.0325**2 - 0.0315**2)
    assert by[1] == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())
    by_fano = counts(replace(TAILED, fano=0.118)) - counts(replace(TAILED, fano=0.116))
    expected = by_fano / (0.002 * 0.00365)
    assert by[2] == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


def test_sums_over_clusters_are_those_of_the_clusters(band: Band) -> None:
    shoulder = Light(energy_kev=np.array([4.5, 4.6, 5.0]), strength=np.array([3.0, 4.0, 5.0]))
    templates = replace(band.templates, shoulder=shoulder, shoulder_cluster=np.array([1, 1, 4]))
    listed = photons(templates, "Si")
    n = len(templates.clusters)
    amplitude = np.linspace(1.0, 2.0, 2 * n)
    groups = np.concatenate([templates.cluster_group] * 2)
    found = summed(listed, amplitude, groups, WIDE, TAILED, "Si")
    seen, _ = spread(listed, WIDE, TAILED, "Si")
    expected = np.zeros_like(found)
    np.add.at(expected, groups, amplitude[:, None] * np.concatenate([seen.peaks, seen.escape]))
    # Rounding.
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
