"""Kα lines that lie elsewhere than the tables say: found by themselves, and of no harm to what lies on their flanks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.fit import FitSettings, RegionFit, Templates, fit_spectra, fit_spectrum
from xrfree.fit.ratios import ratio_plan
from xrfree.fit.response import spread_lines
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum
from xrfree.templates import movable

FloatArray = NDArray[np.float64]


class Band(Protocol):
    response: Response
    settings: FitSettings

    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...
    def spectrum_of(self, counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum: ...
    def expected_counts(
        self, templates: Templates, areas: dict[str, float], response: Response, *, continuum: float
    ) -> FloatArray: ...


AREAS = {"Ti K": 3e7, "Ba L": 2e6, "La L": 2e6, "Ce L": 4e6, "Nd L": 1e6, "Mn K": 3e7, "Fe K": 3e7}
MOVED_KEV = {"Ti K": 4e-4, "Mn K": -2e-4}
"""By how much nature's lines lie off the tables'."""


@pytest.fixture(scope="module")
def tables(band: Band) -> Templates:
    return band.templates_of(tuple(AREAS))


@pytest.fixture(scope="module")
def spectrum(band: Band, tables: Templates) -> Spectrum:
    """Without noise but rounding; one cluster for each shell, so that Kβ moves with Kα."""
    owner = np.array(tables.groups)[tables.cluster_group[tables.line_cluster]]
    moved = np.array([MOVED_KEV.get(group, 0.0) for group in owner])
    nature = replace(tables, energy_kev=tables.energy_kev + moved)
    counts = band.expected_counts(nature, AREAS, band.response, continuum=4e7)
    return band.spectrum_of(np.rint(counts).astype(np.int64))


def settings(band: Band) -> FitSettings:
    return replace(band.settings, ranges_kev=((3.7, 7.2),))


def fitted(band: Band, spectrum: Spectrum, templates: Templates) -> RegionFit:
    return fit_spectrum(spectrum, templates, response=band.response, crystal="Si", settings=settings(band))


def in_u(fit: RegionFit) -> dict[str, float]:
    """Deviation of every area from the truth, in standard uncertainties."""
    areas = fit.areas
    u = np.sqrt(np.diag(areas.covariance))
    return {g: float((a - AREAS[g]) / s) for g, a, s in zip(areas.groups, areas.area, u, strict=True)}


def test_nothing_moves_by_itself(band: Band, tables: Templates) -> None:
    free = movable(tables)
    edges = np.arange(0.0, 9.0, 0.02)
    before, after = (spread_lines(t, edges, band.response, "Si").peaks for t in (tables, free))
    for k, group in enumerate(tables.groups):
        expected = before[tables.cluster_group == k].sum(axis=0)
        found = after[free.cluster_group == k].sum(axis=0)
        # What is left of a move of δ = 0.1 eV to and fro: δ²/2 of the second derivative, σ being 50 eV or more.
        assert found == pytest.approx(expected, abs=2e-6 * expected.max()), group
    assert free.group_strength == pytest.approx(tables.group_strength, rel=1e-12)


def test_lines_of_the_leading_k_cluster_move_and_no_others(tables: Templates) -> None:
    added = movable(tables).clusters[len(tables.clusters) :]
    assert [c.group for c in added] == ["Ti K", "Mn K", "Fe K"]


def test_moved_lines_are_found_and_their_neighbours_unharmed(band: Band, spectrum: Spectrum, tables: Templates) -> None:
    held, free = fitted(band, spectrum, tables), fitted(band, spectrum, movable(tables))
    assert max(map(abs, in_u(held).values())) > 2.0
    # No noise; what is left is the energy scale's part of the moves, whose prior holds them at 0.
    assert max(map(abs, in_u(free).values())) < 0.5
    for group, truth in {**dict.fromkeys(AREAS, 0.0), **MOVED_KEV}.items():
        if group in ("Ti K", "Mn K", "Fe K"):
            value, u = free.areas.parameters[f"ratio:{group}:shift"]
            assert value == pytest.approx(truth / 1e-4, abs=u), group


def test_blocks_have_the_numbers_of_the_single_fit(band: Band, spectrum: Spectrum, tables: Templates) -> None:
    free = movable(tables)
    counts = np.stack([np.random.default_rng(seed).poisson(spectrum.counts) for seed in range(3)])
    many = fit_spectra(
        counts,
        free,
        live_time_s=spectrum.live_time_s,
        energy_scale=spectrum.energy_scale,
        response=band.response,
        crystal="Si",
        settings=settings(band),
    )
    for k, row in enumerate(counts):
        single = fitted(band, band.spectrum_of(row), free)
        u = np.array([single.areas.parameters[name][1] for name in many.names])
        off = many.values[k] - [single.values[name] for name in many.names]
        # As for blocks without moves (test_block.py).
        assert np.abs(off / u).max() < 0.01
        assert many.standard_uncertainty[k] == pytest.approx(u, rel=5e-3)


def test_choices_of_a_method_leave_shifts_alone(tables: Templates) -> None:
    plan = ratio_plan(movable(tables), {"Ti K": "free", "Mn K": "fixed", "Fe K": "tied"})
    assert plan.names[-3:] == ("ratio:Ti K:shift", "ratio:Mn K:shift", "ratio:Fe K:shift")
    assert not (plan.free | plan.fixed) & set(plan.names[-3:])
