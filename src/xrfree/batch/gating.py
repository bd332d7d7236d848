"""The gates of a method, asked of a batch: what they need from measurements, results and lists of specimens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from xrfree.assay import Assay, Verdict
from xrfree.batch.assaying import partly_matched
from xrfree.batch.catalogue import Arrival
from xrfree.errors import DomainError
from xrfree.gates import SeriesGate
from xrfree.method import Method, split_group
from xrfree.quality.gating import Finding, GateReport, Subject, result_findings, spectrum_findings
from xrfree.quantification import Prepared
from xrfree.reference import ReferenceMaterial
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement
from xrfree.templates import group_strengths


class ListedSpecimen(Protocol):
    """What a specimen list says of one specimen, as far as gates want to know."""

    @property
    def specimen(self) -> Specimen:
        """Form, thickness, ignition loss or fusion record."""
        ...

    @property
    def role(self) -> str:
        """What it is for: "unknown", "monitor", "blank", "check" ...; empty where the list does not say."""
        ...

    @property
    def sample(self) -> str:
        """What it is a preparation of; specimens of one sample are duplicates."""
        ...


Specimens = Mapping[str, ListedSpecimen] | None
"""What a list of specimens says, by name; None for no list."""


def spectra_findings(arrivals: Iterable[Arrival], method: Method, specimens: Specimens) -> list[Finding]:
    """Findings of the instrument gates, before anything is assayed."""
    return spectrum_findings(method.gates, _measured(arrivals, method, specimens))


def _measured(arrivals: Iterable[Arrival], method: Method, specimens: Specimens) -> Iterator[Subject]:
    for arrival in arrivals:
        if not isinstance(arrival.measurement, Measurement):
            continue  # refused elsewhere, with a reason
        role, sample, _ = _listed(arrival.specimen, method, specimens)
        with suppress(DomainError):  # what has none of the method's conditions is refused elsewhere, too
            measurement = partly_matched(arrival.measurement, method)
            yield Subject(name=arrival.specimen, role=role, sample=sample, measurement=measurement)


def _listed(name: str, method: Method, specimens: Specimens) -> tuple[str, str, Specimen | None]:
    """Role, sample and specimen as the list has them, else as the method has them."""
    entry = (specimens or {}).get(name)
    return ("", "", method.specimen) if entry is None else (entry.role, entry.sample, entry.specimen)


def duplicate_results(specimens: Specimens, numbers: Mapping[str, int]) -> dict[str, list[int]]:
    """Numbers of the results of each sample that was prepared more than once; numbers : of results by specimen."""
    of_sample: dict[str, list[int]] = {}
    for name, number in sorted(numbers.items(), key=lambda item: item[1]):
        entry = (specimens or {}).get(name)
        if entry is not None and entry.sample:
            of_sample.setdefault(entry.sample, []).append(number)
    return {sample: found for sample, found in of_sample.items() if len(found) > 1}


def gate_report(
    assays: Iterable[Assay],
    before: Sequence[Finding],
    prepared: Prepared,
    *,
    specimens: Specimens,
    certificates: Mapping[str, ReferenceMaterial],
) -> GateReport:
    """Findings of all gates of the method, in its order.

    before : findings of the spectra. certificates : by name of specimen or sample.
    """
    method = prepared.method
    subjects = [_assayed(assay, prepared, specimens) for assay in assays]
    findings = [*before, *result_findings(method.gates, subjects, certificates)]
    order = {gate.name: k for k, gate in enumerate(method.gates)}
    return GateReport(findings=tuple(sorted(findings, key=lambda f: order[f.gate])))


def _assayed(assay: Assay, prepared: Prepared, specimens: Specimens) -> Subject:
    role, sample, specimen = _listed(assay.specimen, prepared.method, specimens)
    return Subject(
        name=assay.specimen,
        role=role,
        sample=sample,
        assay=assay,
        loss_on_ignition=None if specimen is None else specimen.loss_on_ignition,
        oxides=prepared.method.unseen.oxides,
        expected_areas={} if specimen is None else _expected_areas(assay, prepared, specimen),
        outside=_outside(assay, prepared, specimen),
    )


def _outside(assay: Assay, prepared: Prepared, specimen: Specimen | None) -> tuple[str, ...] | None:
    """Sentences on detected contents outside the ranges of the calibration; None where it has none."""
    if prepared.calibration is None or not prepared.calibration.validity.ranges or specimen is None:
        return None
    judged = zip(assay.components, assay.mass_fraction.tolist(), assay.verdicts, strict=True)
    seen = {c: w / specimen.dilution for c, w, verdict in judged if verdict is not Verdict.NOT_DETECTED}
    return tuple(prepared.calibration.validity.outside(seen, dilution=specimen.dilution).values())


def _expected_areas(assay: Assay, prepared: Prepared, specimen: Specimen) -> dict[str, float]:
    """Counts of accompanying line groups that gates ask for, as the composition found predicts them.

    N = t k w S(w), k the instrument's scale of the condition (or of the line group, where it was measured).
    """
    asked = {group for gate in prepared.method.gates if isinstance(gate, SeriesGate) for _, group in gate.pairs}
    expected: dict[str, float] = {}
    if not asked:
        return expected
    composition, scales = assay.composition, prepared.instrument.log_scale
    for areas in assay.areas:
        groups = [group for group in areas.groups if group in asked and split_group(group)[0] in composition.elements]
        if not groups:
            continue
        model = prepared.models[areas.condition]
        strengths = group_strengths(model, composition.mass_fraction, specimen.areal_density_g_cm2, groups)
        for group, strength in zip(groups, strengths.tolist(), strict=True):
            log_scale = scales.get(f"{areas.condition}/{group}", scales.get(areas.condition, 0.0))
            rate = float(np.exp(log_scale)) * strength * composition[split_group(group)[0]]
            expected[f"{areas.condition}/{group}"] = rate * areas.live_time_s * areas.survival
    return expected
