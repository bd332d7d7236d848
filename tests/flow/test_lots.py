from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.flow.lots import Lot, Part, SourcePattern, ancestors, check_lots, fits_parts, fits_source, log_ratios
from xrfree.flow.sheet import Contents, Measured, Stage

REE = ("La", "Ce", "Pr", "Nd", "Sm")
BASTNAESITE = np.array([0.27, 0.50, 0.051, 0.165, 0.012])
CLAY = np.array([0.30, 0.07, 0.07, 0.30, 0.06])


def contents(pattern, total=0.05, u=0.01, rng=None):
    w = total * pattern
    noise = 0.0 if rng is None else rng.normal(0.0, u, len(w))
    return Contents(components=REE, mass_fraction=w * (1.0 + noise), covariance=np.diag((u * w) ** 2))


def lot(name, pattern=BASTNAESITE, mass=100.0, **more):
    found = contents(pattern, rng=more.pop("rng", None))
    return Lot(
        name=name, stage=Stage.ORE, wet_mass=Measured(value=mass, standard_uncertainty=0.1), contents=found, **more
    )


@pytest.fixture(scope="module")
def pattern():
    rng = np.random.default_rng(1)
    known = [contents(BASTNAESITE * np.exp(rng.normal(0.0, 0.03, 5)), rng=rng) for _ in range(30)]
    return SourcePattern.of("Bayan Obo", known, REE)


def test_ratios_do_not_see_dilution():
    a, b = contents(BASTNAESITE, 0.01), contents(BASTNAESITE, 0.6)
    assert np.allclose(log_ratios(a, REE)[0], log_ratios(b, REE)[0])
    assert np.allclose(log_ratios(a, REE)[1], log_ratios(b, REE)[1])


def test_a_lot_of_another_source_is_flagged(pattern):
    found = fits_source(lot("x", CLAY), pattern)
    assert found.doubtful
    assert found.probability < 1e-10
    assert not fits_source(lot("y"), pattern).doubtful


def test_a_lot_without_the_elements_of_the_pattern_is_named(pattern):
    with pytest.raises(
        DomainError, match="lot x, declared source Bayan Obo: the pattern needs contents above 0, and Ce"
    ):
        fits_source(lot("x", BASTNAESITE * [1, 0, 1, 1, 1]), pattern)


def test_contents_without_uncertainty_are_not_compared():
    exact = {name: replace(lot(name), contents=contents(BASTNAESITE, u=0.0)) for name in "ab"}
    mixed = replace(exact["a"], name="c", made_of=(Part(lot="a", wet_mass_kg=50.0), Part(lot="b", wet_mass_kg=50.0)))
    with pytest.raises(DomainError, match="lot c: its contents cannot be compared"):
        fits_parts(mixed, {**exact, "c": mixed})


def test_probabilities_are_true(pattern):
    """Lots of the source are flagged as often as the probability says."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        known = [contents(BASTNAESITE * np.exp(rng.normal(0.0, 0.03, 5)), u=0.002, rng=rng) for _ in range(12)]
        mine = SourcePattern.of("s", known, REE)
        own = replace(lot("x"), contents=contents(BASTNAESITE * np.exp(rng.normal(0.0, 0.03, 5)), u=0.002, rng=rng))
        found.append(fits_source(own, mine).probability)
    share = np.mean(np.array(found) < 0.1)
    assert abs(share - 0.1) < 4.0 * np.sqrt(0.1 * 0.9 / 400)


def test_a_blend_must_be_what_it_was_made_of():
    parts = (Part(lot="a", wet_mass_kg=60.0), Part(lot="b", wet_mass_kg=40.0))
    mixed = 0.6 * BASTNAESITE + 0.4 * CLAY
    lots = {"a": lot("a"), "b": lot("b", CLAY), "good": lot("good", mixed, made_of=parts)}
    good = fits_parts(lots["good"], lots)
    assert good is not None
    assert good.probability == pytest.approx(1.0)
    bad = fits_parts(lot("bad", BASTNAESITE, made_of=parts), lots)
    assert bad is not None
    assert bad.doubtful
    assert fits_parts(lots["a"], lots) is None
    assert fits_parts(lot("calcined", BASTNAESITE, made_of=parts, step="kiln"), lots) is None


def test_ways_and_masses_are_checked():
    split = [lot("a"), lot("b", mass=60.0, made_of=(Part(lot="a", wet_mass_kg=60.0),))]
    lots = check_lots([*split, lot("c", made_of=(Part(lot="b", wet_mass_kg=10.0),))])
    assert ancestors("c", lots) == ("b", "a")
    with pytest.raises(DomainError, match="gave away 120"):
        check_lots([*split, lot("d", made_of=(Part(lot="a", wet_mass_kg=60.0),))])
    with pytest.raises(DomainError, match="not in the list"):
        check_lots([lot("e", made_of=(Part(lot="z", wet_mass_kg=1.0),))])
    with pytest.raises(DomainError, match="made of itself"):
        check_lots([lot("f", made_of=(Part(lot="f", wet_mass_kg=1.0),))])
    with pytest.raises(DomainError, match="two lots"):
        check_lots([lot("a"), lot("a")])


@pytest.mark.parametrize(
    ("change", "words"),
    [({"components": REE[:2], "mass_fraction": BASTNAESITE[:2]}, "not measured"), ({}, "above 0")],
)
def test_patterns_need_contents(change, words):
    w = change.get("mass_fraction", np.array([0.1, 0.1, 0.1, -0.1, 0.1]))
    broken = Contents(components=change.get("components", REE), mass_fraction=w, covariance=np.eye(len(w)))
    with pytest.raises(DomainError, match=words):
        log_ratios(broken, REE)


def test_few_lots_make_no_pattern():
    with pytest.raises(DomainError, match="at least 6"):
        SourcePattern.of("x", [contents(BASTNAESITE)] * 5, REE)
