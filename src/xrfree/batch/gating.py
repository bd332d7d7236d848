"""The gates of a method, asked of a batch: what they need from measurements, results and lists of specimens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from xrfree.assay import Assay
from xrfree.batch.assaying import SpecimenEntry, partly_matched, specimen_of
from xrfree.errors import DomainError, XrfreeError
from xrfree.gates import SeriesGate
from xrfree.method import split_group
from xrfree.quality.gating import GateReport, Subject, result_findings, spectrum_findings
from xrfree.quantification import Prepared
from xrfree.reference import ReferenceMaterial
from xrfree.spectrum import Measurement
from xrfree.templates import group_strengths


def spectra_report(
    measurements: Sequence[Measurement], prepared: Prepared, specimens: Mapping[str, SpecimenEntry] | None
) -> GateReport:
    """Findings of the instrument gates, before anything is assayed."""
    subjects = [_subject(m, prepared, specimens, None) for m in measurements]
    return GateReport(findings=tuple(spectrum_findings(prepared.method.gates, subjects)))


def batch_report(
    measurements: Sequence[Measurement],
    assays: Sequence[Assay],
    prepared: Prepared,
    *,
    specimens: Mapping[str, SpecimenEntry] | None,
    certificates: Mapping[str, ReferenceMaterial],
) -> GateReport:
    """Findings of all gates of the method.

    assays : of those measurements that were not refused, in any order; certificates : by name of specimen or sample.
    """
    found = {assay.specimen: assay for assay in assays}
    subjects = [_subject(m, prepared, specimens, found.get(m.specimen)) for m in measurements]
    gates = prepared.method.gates
    findings = [*spectrum_findings(gates, subjects), *result_findings(gates, subjects, certificates)]
    order = {gate.name: k for k, gate in enumerate(gates)}
    return GateReport(findings=tuple(sorted(findings, key=lambda f: order[f.gate])))


def _subject(
    measurement: Measurement,
    prepared: Prepared,
    specimens: Mapping[str, SpecimenEntry] | None,
    assay: Assay | None,
) -> Subject:
    entry = (specimens or {}).get(measurement.specimen)
    loss = None
    with suppress(XrfreeError):
        specimen = specimen_of(measurement, prepared, specimens)
        loss = specimen.loss_on_ignition
    matched = None
    with suppress(DomainError):  # what has none of the method's conditions is refused elsewhere
        matched = partly_matched(measurement, prepared.method)
    return Subject(
        name=measurement.specimen,
        role=entry.role if entry else "",
        sample=entry.sample if entry else "",
        measurement=matched,
        assay=assay,
        loss_on_ignition=loss,
        oxides=prepared.method.unseen.oxides,
        expected_areas={} if assay is None else _expected_areas(assay, measurement, prepared, specimens),
    )


def _expected_areas(
    assay: Assay, measurement: Measurement, prepared: Prepared, specimens: Mapping[str, SpecimenEntry] | None
) -> dict[str, float]:
    """Counts of accompanying line groups that gates ask for, as the composition found predicts them.

    N = t k w S(w), k the instrument's scale of the condition (or of the line group, where it was measured).
    """
    asked = {group for gate in prepared.method.gates if isinstance(gate, SeriesGate) for _, group in gate.pairs}
    specimen = specimen_of(measurement, prepared, specimens)
    composition = assay.composition
    expected: dict[str, float] = {}
    for areas in assay.areas:
        groups = [group for group in areas.groups if group in asked and split_group(group)[0] in composition.elements]
        if not groups:
            continue
        model = prepared.models[areas.condition]
        strengths = group_strengths(model, composition.mass_fraction, specimen.areal_density_g_cm2, groups)
        for group, strength in zip(groups, strengths.tolist(), strict=True):
            scales = prepared.instrument.log_scale
            log_scale = scales.get(f"{areas.condition}/{group}", scales.get(areas.condition, 0.0))
            rate = float(np.exp(log_scale)) * strength * composition[split_group(group)[0]]
            expected[f"{areas.condition}/{group}"] = rate * areas.live_time_s * areas.survival
    return expected
