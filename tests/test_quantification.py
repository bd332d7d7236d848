"""Laws of mass fractions that come from several line groups of one element."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.assay import Verdict
from xrfree.composition import USUAL_OXIDES
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.instrument import Instrument
from xrfree.method import Background, ConditionMatch, Method, Region, UnseenRule
from xrfree.quantification import Prepared, contributions, limits, prepare, quantified_lines, quantify, shares_of
from xrfree.simulation import at_rate, simulate
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import Measurement

FloatArray = NDArray[np.float64]


POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)


def bench() -> Instrument:
    """The example at 50 000 counts per second of an ore."""
    instrument = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
    for name in ("low", "high"):
        instrument = at_rate(instrument, {"Fe2O3": 0.5, "SiO2": 0.5}, POWDER, name, 50_000.0)
    return instrument


INSTRUMENT = bench()


def two_spectra() -> Prepared:
    """La and Fe in the first spectrum, La again in the second."""
    low = Region(name="band", condition="low", ranges_kev=((4.2, 6.9),), quantified=("La L", "Fe K"))
    high = Region(
        name="rare earths",
        condition="high",
        ranges_kev=((4.2, 6.1), (6.34, 6.44)),
        quantified=("La L",),
        accompanying=("Fe K",),
        background=Background.POLYNOMIAL,
        background_terms=1,
    )
    method = Method(
        name="two spectra",
        analytes=("La",),
        regions=(low, high),
        conditions={name: ConditionMatch(names=(name,)) for name in ("low", "high")},
        unseen=UnseenRule(oxides=USUAL_OXIDES, loss_on_ignition={"CO2": 1.0}, remainder="SiO2"),
    )
    ready = prepare(method, INSTRUMENT)
    return replace(ready, relative_scatter=np.zeros(3), absolute_scatter=np.zeros(3))


def measured(low: float, high: float) -> Measurement:
    """Iron ore with so much La2O3 as each of the spectra is made to say."""
    ores = {name: {"La2O3": w, "Fe2O3": 0.5, "SiO2": 0.5 - w} for name, w in (("low", low), ("high", high))}
    return Measurement(
        specimen="ore",
        spectra={
            name: simulate(ore, POWDER, INSTRUMENT, name, live_time_s=300.0, seed=k, groups=("La L", "Fe K"))
            for k, (name, ore) in enumerate(ores.items())
        },
    )


def test_lines_are_those_of_each_element_in_turn() -> None:
    ready = two_spectra()
    assert [line.key for line in ready.lines] == ["low/band/La L", "high/rare earths/La L", "low/band/Fe K"]
    assert ready.owner.tolist() == [0, 0, 1]
    assert ready.method.quantified_elements == ("La", "Fe")


def test_methods_of_one_line_group_each_have_as_many_as_elements() -> None:
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    assert [line.element for line in quantified_lines(method)] == list(method.quantified_elements)


def test_shares_make_the_smallest_variance_of_unbiased_means() -> None:
    variance, owner = np.array([4.0, 1.0, 9.0]), np.array([0, 0, 1])
    shares = shares_of(variance, owner)
    assert shares == pytest.approx(np.array([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]))
    least = shares**2 @ variance
    for moved in (-0.05, 0.05):
        other = shares + np.array([[moved, -moved, 0.0], [0.0, 0.0, 0.0]])
        assert (other**2 @ variance)[0] > least[0]


def test_two_line_groups_know_more_than_one_and_as_much_as_two_spectra_say() -> None:
    ready = two_spectra()
    unit, w = np.array([2.0, 4.0, 1.0]), np.array([0.01, 0.4])
    rates = {"counting": np.diag([1e-8, 1e-8, 1e-8])}
    inverse = shares_of(np.diag(rates["counting"]) / unit**2, ready.owner)
    found = contributions(rates, inverse, unit, w, [], ready)["counting"]
    assert 1.0 / found[0, 0] == pytest.approx(unit[0] ** 2 / 1e-8 + unit[1] ** 2 / 1e-8)
    alone, _, _ = limits(np.full(3, 1e-8), np.ones(3), unit, replace(ready, absolute_scatter=np.array([0, 1e3, 0])))
    both, detection, _ = limits(np.full(3, 1e-8), np.ones(3), unit, ready)
    assert both[0] == pytest.approx(alone[0] / np.sqrt(5.0))
    assert detection == pytest.approx(2.0 * both)


def test_what_differs_between_specimens_is_not_averaged_by_a_second_spectrum() -> None:
    ready = replace(two_spectra(), relative_scatter=np.full(3, 0.01))
    inverse = shares_of(np.ones(3), ready.owner)
    found = contributions({}, inverse, np.ones(3), np.array([0.02, 0.4]), [], ready)["between specimens"]
    assert np.sqrt(np.diag(found)) == pytest.approx([2e-4, 4e-3])


def test_two_spectra_of_one_specimen_agree_and_say_more_than_each_of_them() -> None:
    ready = two_spectra()
    assay = quantify(measured(0.01, 0.01), ready, POWDER)
    k = assay.components.index("La")
    assert assay.verdicts[k] is Verdict.DETECTED
    alone = []
    for low, high in ((1.0, 1e3), (1e3, 1.0)):  # a blank that nobody knows takes a spectrum out
        scatter = 1e-5 * np.array([low, high, 0.0])
        alone.append(quantify(measured(0.01, 0.01), replace(ready, absolute_scatter=scatter), POWDER).covariance[k, k])
    assert assay.covariance[k, k] < min(alone)


def test_spectra_that_contradict_each_other_make_the_content_doubtful_and_say_which() -> None:
    assay = quantify(measured(0.01, 0.012), two_spectra(), POWDER)
    k = assay.components.index("La")
    assert assay.verdicts[k] is Verdict.DOUBTFUL
    assert "by high/rare earths/La L there is more than by low/band/La L" in assay.reasons[k]
