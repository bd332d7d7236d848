"""Assays of many measurements, and what each of them needs before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from xrfree.assay import Assay
from xrfree.batch.faults import foreseen
from xrfree.batch.inputs import Inputs, Progress, sorted_refusals
from xrfree.batch.workers import in_order
from xrfree.errors import DomainError, XrfreeError
from xrfree.method import Method
from xrfree.quantification import Prepared, matched_conditions, quantify
from xrfree.report.refused import Refusal
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement, Spectrum


class SpecimenEntry(Protocol):
    """What a specimen list says of one specimen, as far as a batch wants to know."""

    @property
    def specimen(self) -> Specimen:
        """Form, thickness, ignition loss or fusion record."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came out of a batch, in the order of the specimens' names."""

    assays: tuple[Assay, ...]
    refusals: tuple[Refusal, ...]


def specimen_of(measurement: Measurement, prepared: Prepared, entries: Mapping[str, SpecimenEntry] | None) -> Specimen:
    """What the specimen list says of a measurement's specimen, else what the method says of all specimens."""
    entry = (entries or {}).get(measurement.specimen)
    specimen = prepared.method.specimen if entry is None else entry.specimen
    if specimen is None:
        what = "is not in the specimen list" if entries is not None else "needs a specimen list"
        raise XrfreeError(
            f"specimen {measurement.specimen!r} {what}, and method {prepared.method.name} does not say "
            "what its specimens are. Give form, density and thickness in a list (--specimens)."
        )
    return specimen


def assay_batch(
    inputs: Inputs,
    prepared: Prepared,
    *,
    specimens: Mapping[str, SpecimenEntry] | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> BatchResult:
    """Assay all measurements of a batch.

    specimens : what a specimen list says, by name of the specimen.
    jobs : number of worker processes; 1 works in this process. A script that asks for more must be importable
        (`if __name__ == "__main__":`), as workers start from scratch.
    progress : called with the number of measurements done and of all.
    """
    work = _Work(prepared=prepared, specimens=None if specimens is None else dict(specimens))
    outcomes = in_order(work, inputs.measurements, jobs=jobs, progress=progress)
    assays: list[Assay] = []
    refusals = list(inputs.refusals)
    for measurement, outcome in zip(inputs.measurements, outcomes, strict=True):
        if isinstance(outcome, Assay):
            assays.append(outcome)
        else:
            refusals += inputs.refused(measurement.specimen, outcome)
    return BatchResult(assays=tuple(assays), refusals=sorted_refusals(refusals))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """From one measurement to its assay, or to the error that prevented it."""

    prepared: Prepared
    specimens: Mapping[str, SpecimenEntry] | None

    def __call__(self, measurement: Measurement) -> Assay | Exception:
        try:
            specimen = specimen_of(measurement, self.prepared, self.specimens)
            matched = matched_conditions(measurement, self.prepared.method)
            return quantify(matched, self.prepared, specimen)
        except Exception as error:  # nothing stops a batch
            return foreseen(error)


def partly_matched(measurement: Measurement, method: Method) -> Measurement:
    """The measurement under the method's condition names, with those conditions that it has.

    Pure compounds need not be measured under all conditions; DomainError if there is none at all.
    """
    spectra: dict[str, Spectrum] = {}
    for condition in dict.fromkeys(region.condition for region in method.regions):
        regions = tuple(region for region in method.regions if region.condition == condition)
        with suppress(DomainError):
            found = matched_conditions(measurement, replace(method, analytes=(), regions=regions))
            spectra.update(found.spectra)
    return replace(measurement, spectra=spectra) if spectra else matched_conditions(measurement, method)
