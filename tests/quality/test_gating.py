from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xrfree.areas import FitVerdict
from xrfree.assay import Verdict
from xrfree.composition import USUAL_OXIDES
from xrfree.errors import DomainError
from xrfree.gates import (
    Action,
    BlankGate,
    CheckGate,
    DeadTimeGate,
    DriftGate,
    DuplicateGate,
    FitGate,
    PatternGate,
    PeakGate,
    RangeGate,
    Score,
    SeriesGate,
    SumGate,
    TubeLineGate,
    check_gates,
)
from xrfree.quality.gating import Finding, GateReport, Outcome, Subject, result_findings, spectrum_findings
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

# What the hand-made assay holds (tests/handmade.py).
LA, CE, PR, ND, NB, FE = 0.0123456, 0.02, 0.0009, 0.0071, 0.00031, 0.45


def material(name: str, factor: float = 1.0, **changes: float) -> ReferenceMaterial:
    contents = {"La": LA, "Ce": CE, "Pr": PR, "Nd": ND, "Nb": NB} | changes
    values = tuple(
        ReferenceValue(
            component=e,
            mass_fraction=factor * w,
            expanded_uncertainty=0.01 * factor * w,
            coverage_factor=2.0,
            assigned_by=Assignment.FUSION_ICP,
            basis=Basis.DRY,
        )
        for e, w in contents.items()
    )
    return ReferenceMaterial(name=name, values=values)


def spectrum(*, rate: float = 1000.0, dead: float = 0.1) -> Spectrum:
    counts = np.full(2048, round(rate * 100.0 / 2048))
    return Spectrum(
        counts=counts,
        live_time_s=100.0,
        real_time_s=100.0 / (1.0 - dead),
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.01),
        condition=ExcitationCondition(name="low"),
    )


def measured(name: str, **arguments: float) -> Measurement:
    return Measurement(specimen=name, spectra={"low": spectrum(**arguments)})


def results(gate, subjects, certificates=None):
    return result_findings([gate], subjects, certificates or {})


def changed(assay, **contents):
    """The assay with other mass fractions."""
    w = assay.mass_fraction.copy()
    for element, value in contents.items():
        w[assay.components.index(element)] = value
    return replace(assay, mass_fraction=w)


def test_dead_time_and_tube_line():
    subjects = [
        Subject(name="monitor", role="monitor", measurement=measured("monitor", dead=0.1)),
        Subject(name="P1", measurement=measured("P1", dead=0.5)),
    ]
    found = spectrum_findings([DeadTimeGate(name="dead", condition="low", highest=0.4)], subjects)
    assert [(f.outcome, f.repeat) for f in found] == [(Outcome.HOLD, ("P1",))]
    assert "50.0 %" in found[0].message
    tube = TubeLineGate(
        name="tube", condition="low", window_kev=(2.0, 4.0), reference_per_s=110.0, tolerance=0.02, roles=("monitor",)
    )
    found = spectrum_findings([tube], subjects)
    # A monitor speaks for the whole batch.
    assert found[0].repeat == ("monitor", "P1")
    assert spectrum_findings([replace(tube, reference_per_s=98.5)], subjects)[0].outcome is Outcome.PASS


def test_peaks_of_other_conditions_are_not_looked_at():
    gate = PeakGate(name="iron", condition="high", element="Fe", highest_shift_kev=0.01)
    found = spectrum_findings([gate], [Subject(name="P1", measurement=measured("P1"))])
    assert found[0].outcome is Outcome.NOT_EVALUATED


def test_a_required_gate_holds_a_batch_without_its_specimen():
    gate = CheckGate(name="check", roles=("check",), required=True)
    found = results(gate, [Subject(name="P1")])
    assert found[0].outcome is Outcome.HOLD
    assert found[0].repeat == ("check",)
    assert results(replace(gate, required=False), [Subject(name="P1")])[0].outcome is Outcome.NOT_EVALUATED
    assert GateReport(findings=tuple(results(replace(gate, required=False), []))).outcome is Outcome.PASS


def test_drift(make_assay):
    rate = 90000.0 / (600.0 * 0.99)
    gate = DriftGate(name="drift", reference_per_s={"low/Fe K": rate}, tolerance=0.01, roles=("monitor",))
    subjects = [Subject(name="M", role="monitor", assay=make_assay("M")), Subject(name="P1", assay=make_assay("P1"))]
    assert results(gate, subjects)[0].outcome is Outcome.PASS
    found = results(replace(gate, reference_per_s={"low/Fe K": rate * 1.03}), subjects)[0]
    assert found.outcome is Outcome.HOLD
    assert "low/Fe K -2.91 %" in found.message
    assert found.repeat == ("M", "P1")
    assert results(replace(gate, reference_per_s={"high/Fe K": rate}), subjects)[0].outcome is Outcome.NOT_EVALUATED


def test_blank_names_what_it_touched(make_assay):
    clean = changed(make_assay("B"), La=1e-5, Ce=1e-5, Pr=1e-5, Nd=1e-5, Sm=0.0, Nb=1e-5)
    dirty = changed(clean, Nb=1.5e-4)
    other = make_assay("P1")  # U of niobium: 26 mg/kg, below the contamination
    coarse = replace(make_assay("P2"), covariance=np.eye(7) * 1e-6)  # U of niobium: 2000 mg/kg
    gate = BlankGate(name="blank", roles=("blank",))
    subjects = [Subject(name="B", role="blank", assay=dirty)]
    subjects += [Subject(name="P1", assay=other), Subject(name="P2", assay=coarse)]
    found = results(gate, subjects)[0]
    assert "contaminated with Nb 150 mg/kg" in found.message
    assert found.repeat == ("B", "P1")
    assert results(replace(gate, highest={"Nb": 2e-4}), subjects)[0].outcome is Outcome.PASS
    clean_batch = [replace(subjects[0], assay=clean), *subjects[1:]]
    assert results(gate, clean_batch)[0].outcome is Outcome.PASS


def test_check_standard_by_the_c_test_of_the_iron_ore_standards(make_assay):
    # La found: 0.0123456. r = 2.8e-4 and R = 5.6e-4 kg/kg: s_r 1e-4, s_R 2e-4, and with u = 1e-4 of the certificate
    # C = 2 sqrt((2e-4)^2 - (1e-4)^2 + (1e-4)^2 + (1e-4)^2) = 4.47e-4.
    gate = CheckGate(
        name="check",
        roles=("check",),
        score=Score.C_TEST,
        repeatability={"La": (0.0, 2.8e-4)},
        reproducibility={"La": (0.0, 5.6e-4)},
    )
    subject = Subject(name="CRM-1", role="check", assay=make_assay("CRM-1"))

    def outcome(reference: float) -> Finding:
        value = ReferenceValue(
            component="La",
            mass_fraction=reference,
            expanded_uncertainty=2e-4,
            coverage_factor=2.0,
            assigned_by=Assignment.FUSION_ICP,
            basis=Basis.DRY,
        )
        return results(gate, [subject], {"CRM-1": ReferenceMaterial(name="CRM-1", values=(value,))})[0]

    assert outcome(0.0123456 - 4.4e-4).outcome is Outcome.PASS
    failed = outcome(0.0123456 - 4.6e-4)
    assert failed.outcome is Outcome.HOLD
    assert "C of La +1.0 against CRM-1, allowed 1" in failed.message
    with pytest.raises(DomainError, match="no other"):
        replace(gate, score=Score.EN)
    with pytest.raises(DomainError, match="same elements"):
        replace(gate, reproducibility={"Ce": (0.0, 1e-4)})


def test_check_standard_by_en_and_zeta(make_assay):
    subject = Subject(name="CRM-1", role="check", assay=make_assay("CRM-1"))
    gate = CheckGate(name="check", roles=("check",))
    assert results(gate, [subject], {"CRM-1": material("CRM-1")})[0].outcome is Outcome.PASS
    found = results(gate, [subject], {"CRM-1": material("CRM-1", La=0.0140)})[0]
    assert found.outcome is Outcome.HOLD
    assert "En of La" in found.message
    zeta = results(replace(gate, score=Score.ZETA, limit=2.0), [subject], {"CRM-1": material("CRM-1", La=0.0140)})[0]
    assert "zeta of La" in zeta.message
    # Known by its sample, too; without a certificate there is nothing to judge.
    assert results(gate, [replace(subject, sample="X")], {"X": material("X")})[0].outcome is Outcome.PASS
    assert results(gate, [subject], {})[0].outcome is Outcome.NOT_EVALUATED


def test_certificates_on_another_basis(make_assay):
    gate = CheckGate(name="check", roles=("check",))
    subject = Subject(name="CRM-1", role="check", assay=make_assay("CRM-1"), loss_on_ignition=0.2)
    ignited = material("CRM-1", 1.0 / 0.8)
    ignited = replace(ignited, values=tuple(replace(v, basis=Basis.IGNITED) for v in ignited.values))
    assert results(gate, [subject], {"CRM-1": ignited})[0].outcome is Outcome.PASS
    unknown = replace(subject, loss_on_ignition=None)
    assert results(gate, [unknown], {"CRM-1": ignited})[0].outcome is Outcome.NOT_EVALUATED
    of_bead = material("CRM-1")
    of_bead = replace(of_bead, values=tuple(replace(v, basis=Basis.SPECIMEN) for v in of_bead.values))
    bead = replace(subject, assay=make_assay("CRM-1", basis="dry sample before fusion"))
    assert results(gate, [bead], {"CRM-1": of_bead})[0].outcome is Outcome.NOT_EVALUATED


def test_a_gate_that_cannot_be_asked_loses_no_result(make_assay):
    twice = ReferenceMaterial(
        name="CRM-1", values=tuple(replace(material("x")["La"], component=c) for c in ("La2O3", "LaF3"))
    )
    subject = Subject(name="CRM-1", role="check", assay=make_assay("CRM-1"))
    found = results(CheckGate(name="check", roles=("check",)), [subject], {"CRM-1": twice})[0]
    assert found.outcome is Outcome.HOLD
    assert "could not be asked" in found.message
    peak = PeakGate(name="niobium", condition="low", element="Nb", highest_shift_kev=0.01)
    short = Measurement(specimen="P1", spectra={"low": replace(spectrum(), counts=np.ones(900, dtype=int))})
    found = spectrum_findings([peak], [Subject(name="P1", measurement=short)])[0]
    assert "does not hold the K alpha line of Nb" in found.message


def test_a_swapped_check_standard_is_recognised(make_assay):
    subject = Subject(name="CRM-2", role="check", assay=make_assay("CRM-2"))
    certificates = {"CRM-1": material("CRM-1"), "CRM-2": material("CRM-2", 0.5), "CRM-3": material("CRM-3", 2.0)}
    found = results(CheckGate(name="check", roles=("check",)), [subject], certificates)[0]
    assert "agrees with CRM-1: were specimens swapped?" in found.message


def test_duplicates(make_assay):
    gate = DuplicateGate(name="duplicates", repeatability={"La": (0.02, 1e-5)})
    first, second = make_assay("A1"), changed(make_assay("A2"), La=LA * 1.015)
    subjects = [Subject(name="A1", sample="A", assay=first), Subject(name="A2", sample="A", assay=second)]
    passed = results(gate, subjects)[0]
    assert passed.outcome is Outcome.PASS
    assert passed.message == "A La 1.244 % (mean of 2)"
    far = [subjects[0], replace(subjects[1], assay=changed(second, La=LA * 1.05))]
    found = results(gate, far)[0]
    assert found.outcome is Outcome.HOLD
    assert found.repeat == ("A1", "A2")
    assert "La (range of 2 results 0.06173 > 1 r" in found.message
    assert "measure a third time" in found.message
    # A third result in between is accepted with the range of 1.2 r that three may have.
    third = Subject(name="A3", sample="A", assay=changed(make_assay("A3"), La=LA * 1.01))
    near = [subjects[0], replace(subjects[1], assay=changed(second, La=LA * 1.0235)), third]
    assert results(gate, near[:2])[0].outcome is Outcome.HOLD
    assert results(gate, near)[0].message == "A La 1.248 % (mean of 3)"
    # DZ/T allows 3.2 % of the mean to each side at 1.2 %: 6.4 % between two results.
    by_curve = DuplicateGate(name="duplicates", dz_t_grade=1.0, elements=("La",))
    assert results(by_curve, far)[0].outcome is Outcome.PASS
    alone = [replace(subjects[0], sample="")]
    assert results(gate, alone)[0].outcome is Outcome.NOT_EVALUATED


def test_swapped_duplicates_are_recognised(make_assay):
    gate = DuplicateGate(
        name="duplicates", repeatability={"La": (0.02, 1e-5), "Fe": (0.01, 1e-4)}, elements=("La", "Fe")
    )
    poor, rich = make_assay("x"), changed(make_assay("x"), La=0.03, Fe=0.3)
    subjects = [
        Subject(name="A1", sample="A", assay=poor),
        Subject(name="A2", sample="A", assay=rich),
        Subject(name="B1", sample="B", assay=rich),
        Subject(name="B2", sample="B", assay=poor),
    ]
    found = results(gate, subjects)
    assert len(found) == 2
    assert all("exchanged both pairs agree: were they swapped?" in f.message for f in found)


def test_range_of_the_calibration(make_assay):
    gate = RangeGate(name="range")
    subject = Subject(name="P1", assay=make_assay("P1"))
    assert results(gate, [subject])[0].outcome is Outcome.NOT_EVALUATED
    assert results(gate, [replace(subject, outside=())])[0].outcome is Outcome.PASS
    found = results(gate, [replace(subject, outside=("La is 0.05 kg/kg, above the range",))])[0]
    assert found.outcome is Outcome.HOLD
    assert found.message == "P1: La is 0.05 kg/kg, above the range"


def test_range_of_validity(make_assay):
    subject = Subject(name="P1", assay=make_assay())
    gate = RangeGate(name="range", ranges={"La": (0.001, 0.05), "Sm": (0.0001, 0.01)}, action=Action.WARN)
    # Samarium lies below its range, but was not detected there.
    assert results(gate, [subject])[0].outcome is Outcome.PASS
    found = results(replace(gate, ranges={"Ce": (0.001, 0.01)}), [subject])[0]
    assert found.outcome is Outcome.WARN
    assert "Ce 2 %, valid from 0.1 % to 1 %" in found.message


def test_fit_verdicts_and_deviance(make_assay):
    assay = make_assay()
    gate = FitGate(name="fit", highest_reduced_deviance=1.5)
    assert results(gate, [Subject(name="P1", assay=assay)])[0].outcome is Outcome.PASS
    poor = replace(assay.areas[0], reduced_deviance=1.8)
    broken = replace(assay.areas[0], verdict=FitVerdict.RESOLUTION_OFF, reason="lines are 30 % too wide")
    for areas, words in ((poor, "1.80"), (broken, "lines are 30 % too wide")):
        found = results(gate, [Subject(name="P1", assay=replace(assay, areas=(areas,)))])[0]
        assert words in found.message


def test_element_sum(make_assay):
    subject = Subject(name="P1", assay=make_assay(), loss_on_ignition=0.05, oxides=USUAL_OXIDES)
    gate = SumGate(name="sum", low=0.6, high=1.02)
    assert results(gate, [subject])[0].outcome is Outcome.PASS
    found = results(replace(gate, low=0.9), [subject])[0]
    # Fe2O3 64.34, La2O3 1.45, CeO2 2.46, Pr6O11 0.11, Nd2O3 0.83, Nb2O5 0.04, ignition loss 5 %.
    assert "sum to 74.22 %" in found.message
    assert results(gate, [replace(subject, loss_on_ignition=None)])[0].outcome is Outcome.NOT_EVALUATED


@pytest.mark.parametrize(("expected", "outcome"), [(410.0, Outcome.PASS), (1500.0, Outcome.HOLD)])
def test_line_series(make_assay, expected, outcome):
    gate = SeriesGate(name="series", pairs=(("Ce K", "Ce L"),))
    subject = Subject(name="P1", assay=make_assay(), expected_areas={"low/Ce L": expected})
    assert results(gate, [subject])[0].outcome is outcome


def test_rare_earth_pattern(make_assay):
    gate = PatternGate(name="pattern", tolerance={"Pr": 0.12, "Sm": 1.0})
    assay = make_assay()
    found = results(gate, [Subject(name="P1", assay=assay)])[0]
    assert found.outcome is Outcome.HOLD  # La 1.23 and Nd 0.71 % ask for 0.19 % Pr, not 0.09 %
    assert "Pr is 0.4" in found.message
    smooth = changed(assay, Pr=0.00215)
    assert results(gate, [Subject(name="P1", assay=smooth)])[0].outcome is Outcome.PASS
    unseen = replace(assay, verdicts=(*[Verdict.NOT_DETECTED] * 7,), reasons=("",) * 7)
    assert results(gate, [Subject(name="P1", assay=unseen)])[0].outcome is Outcome.NOT_EVALUATED


def test_the_worst_finding_decides(make_assay):
    warned = results(
        RangeGate(name="r", ranges={"Ce": (0.0, 0.01)}, action=Action.WARN), [Subject(name="P1", assay=make_assay())]
    )
    held = results(CheckGate(name="c", roles=("check",), required=True), [])
    assert GateReport(findings=tuple(warned)).outcome is Outcome.WARN
    report = GateReport(findings=(*warned, *held))
    assert report.outcome is Outcome.HOLD
    assert report.repeat == ("check",)


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ((DeadTimeGate(name="d", condition="x", highest=0.1),), "condition 'x'"),
        ((BlankGate(name="b", elements=("Au",)),), "asks for Au"),
        ((RangeGate(name="r", ranges={"Au": (0.0, 0.1)}),), "asks for Au"),
        ((FitGate(name="a"), FitGate(name="a")), "two gates"),
    ],
)
def test_gates_that_a_method_cannot_have(gates, words):
    with pytest.raises(DomainError, match=words):
        check_gates(gates, conditions=["low"], elements=["La"])


def test_impossible_limits_are_refused():
    for make in (
        lambda: DeadTimeGate(name="d", condition="low", highest=1.5),
        lambda: SumGate(name="s", low=1.0, high=0.9),
        lambda: DuplicateGate(name="d"),
        lambda: SeriesGate(name="s", pairs=(("Nb K", "Zr L"),)),
        lambda: TubeLineGate(name="t", condition="low", window_kev=(3.0, 2.0), reference_per_s=1.0, tolerance=0.1),
        lambda: PeakGate(name="p", condition="low", element="Xx", highest_shift_kev=0.01),
        lambda: DriftGate(name="d", reference_per_s={"low/Fe K": 0.0}, tolerance=0.1),
    ):
        with pytest.raises(DomainError):
            make()
