"""Designs of synthetic standards: independence, room for the base, what can be weighed, predictions."""

import numpy as np
import pytest

from xrfree.calibration import CurveModel, ModelKind
from xrfree.curves.design import Component, design_mixtures, inflation_with, most_helpful, predict_design
from xrfree.errors import CalibrationError, DomainError

RANGES = (
    ("La2O3", 0.0, 0.035),
    ("CeO2", 0.0, 0.06),
    ("Pr6O11", 0.0, 0.008),
    ("Nd2O3", 0.0, 0.025),
    ("BaSO4", 0.0, 0.05),
    ("CaF2", 0.0, 0.15),
    ("Fe2O3", 0.3, 0.75),
)
COMPONENTS = tuple(Component(name=f, formula=f, low=low, high=high) for f, low, high in RANGES)


def _design(n=20, **how):
    return design_mixtures(COMPONENTS, "SiO2", n, mass_g=10.0, resolution_g=1e-3, seed=1, **how)


@pytest.fixture(scope="module")
def design():
    return _design(least_base=0.02)


def test_contents_are_independent_and_leave_room(design):
    r = np.corrcoef(design.content.T)
    assert np.abs(r - np.eye(7)).max() < 0.03
    assert design.largest_correlation == pytest.approx(np.abs(r - np.eye(7)).max(), abs=1e-12)
    assert design.base_share.min() >= 0.02
    assert design.share.sum(axis=1) + design.base_share == pytest.approx(np.ones(20))


def test_every_range_is_covered_evenly(design):
    for column, (_, low, high) in zip(design.share.T, RANGES, strict=True):
        assert column.min() >= low
        assert column.max() <= high
        edges = low + (high - low) * np.arange(21) / 20
        counted, _ = np.histogram(column, bins=edges)
        assert counted.max() == 1  # a Latin hypercube: one mixture per twentieth of the range
    assert (design.share[:, :4] == 0.0).any(axis=0).all()  # ranges from 0 hold a blank


def test_masses_can_be_weighed_and_add_up(design):
    for i in range(20):
        masses = design.masses_g(i, 10.0)
        assert sum(masses.values()) == pytest.approx(10.0, abs=1e-9)
        for mass in masses.values():
            assert mass / 1e-3 == pytest.approx(round(mass / 1e-3), abs=1e-6)
            assert mass > 0.0


def test_elements_are_those_the_substances_are_added_for(design):
    assert design.elements == ("La", "Ce", "Pr", "Nd", "Ba", "Ca", "Fe")


def test_the_same_seed_gives_the_same_design(design):
    assert np.array_equal(_design(least_base=0.02).share, design.share)


def test_natural_standards_are_freed_by_a_few_mixtures(design):
    ores = [{"La": x, "Ce": 1.7 * x, "Pr": 0.17 * x, "Nd": 0.5 * x, "Fe": 0.4 - x, "Ca": x} for x in (0.01, 0.02, 0.03)]
    order = most_helpful(design, ores)
    assert sorted(order) == list(range(20))
    inflation = inflation_with(design, order, ores)
    assert inflation[0] == float("inf")
    assert inflation[-1] < 3.0
    shuffled = inflation_with(design, list(range(20)), ores)
    assert min(i for i, v in enumerate(inflation) if v < 10.0) <= min(i for i, v in enumerate(shuffled) if v < 10.0)


def test_predicted_uncertainty_is_that_of_replicas(design, spectrometer, wd):
    """Slopes of simulated calibrations scatter as predicted."""
    contents = []
    for i in range(20):
        ore = dict(zip(design.elements, design.content[i], strict=True))
        contents.append({e: ore.get(e, 0.0) / 11.0 for e in wd.ANALYTES})
    line = wd.MEASURED["La"]
    model = CurveModel(analyte="La", line=line, kind=ModelKind.FUNDAMENTAL)
    predicted = predict_design(
        contents,
        [model],
        spectrometer.theory,
        element_of={line: "La"},
        rate_scale=wd.PHOTONS_TO_RATE,
        background_per_s=100.0,
        counting_time_s=10.0,
        relative_uncertainty=0.004,
    )
    (slope,) = [c for c in predicted.coefficients if c.relative is not None]
    rng = np.random.default_rng(0)
    w = np.array([c["La"] for c in contents])
    strength = np.array([spectrometer.theory(line, c) for c in contents])
    u = 0.004 * np.hypot(w, 0.02 * w.max())
    found = []
    for _ in range(400):
        rate = predicted.rate[:, 0] + rng.normal(size=20) * np.sqrt((predicted.rate[:, 0] + 200.0) / 10.0)
        x = np.column_stack([1.0 / strength, rate / strength])
        y = w + u * rng.normal(size=20)
        weight = 1.0 / np.sqrt(u**2 + (predicted.rate[:, 0] + 200.0) / 10.0 / (strength * wd.PHOTONS_TO_RATE) ** 2)
        found.append(np.linalg.lstsq(x * weight[:, None], y * weight, rcond=None)[0][1])
    assert slope.relative == pytest.approx(np.std(found) / np.mean(found), rel=0.12)  # 400 draws: 3.5 %


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (lambda: Component(name="x", formula="La2O3", low=0.5, high=0.2), DomainError, "low < high"),
        (lambda: Component(name="x", formula="O2", low=0.0, high=0.2), DomainError, "oxygen alone"),
        (lambda: _design(n=8), CalibrationError, "at least 9"),
        (lambda: _design(least_base=0.5), DomainError, "no room for the base"),
        (
            lambda: design_mixtures(
                [*COMPONENTS, Component(name="CeF3", formula="CeF3", low=0.0, high=0.01)],
                "SiO2",
                20,
                mass_g=10.0,
                resolution_g=1e-3,
                seed=1,
            ),
            DomainError,
            "Ce would come from two",
        ),
    ],
)
def test_designs_that_cannot_be(act, kind, message):
    with pytest.raises(kind, match=message):
        act()


def test_a_design_out_of_reach_says_what_was_reached(monkeypatch):
    monkeypatch.setattr("xrfree.curves.design._STEPS", 500)
    with pytest.raises(CalibrationError, match=r"largest correlation of 0\.\d+, not below 1e-06; take more mixtures"):
        _design(n=9, largest_correlation=1e-6)
