"""A cheap quantification for benchmarks of the batch engine: what comes out depends on the counts alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xrfree.assay import Assay, Recipe, Verdict
from xrfree.batch.assaying import Task
from xrfree.composition import Composition
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.readers import write_hdf5
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)
COMPOSITION = Composition.of({"Fe2O3": 0.6, "SiO2": 0.4})


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Mass fractions from sums of counts; `components` of them, and `seconds` of pretended work."""

    components: tuple[str, ...] = ("La", "Ce")
    seconds: float = 0.0

    def __call__(self, measurement: Measurement, specimen: Specimen, /) -> Assay:
        """An assay of the right shape without physics."""
        if self.seconds:
            time.sleep(self.seconds)
        counts = next(iter(measurement.spectra.values())).counts
        n = len(self.components)
        parts = np.array([part.sum() for part in np.array_split(counts, n)], dtype=float)
        w = parts / max(parts.sum(), 1.0) * specimen.thickness_cm
        u = np.sqrt(parts + 1.0) / max(parts.sum(), 1.0)
        return Assay(
            specimen=measurement.specimen,
            basis="specimen as measured",
            components=self.components,
            analytes=self.components,
            mass_fraction=w,
            covariance=np.outer(u, u) * 0.1 + np.diag(0.9 * u**2),
            budget={"counting": u},
            coverage_factor=2.0,
            decision_limit=2.0 * u,
            detection_limit=4.0 * u,
            quantification_limit=10.0 * u + 1e-12,
            verdicts=(Verdict.DETECTED,) * n,
            reasons=("",) * n,
            composition=COMPOSITION,
            areas=(),
            iterations=1,
            recipe=Recipe(
                source_sha256=tuple(source.sha256 for source in measurement.sources),
                sources=tuple(source.path for source in measurement.sources),
                method="stand-in",
                method_sha256="0" * 64,
                instrument="",
                instrument_sha256="0" * 64,
                calibration="",
                calibration_sha256="",
                tables="",
                software_version="",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInTogether:
    """Assays of blocks that depend on everybody in the block; one in seven is left to the assays one by one."""

    stand_in: StandIn

    def __call__(
        self, measurements: Sequence[Measurement], specimens: Sequence[Specimen], drawn: frozenset[int], /
    ) -> Iterator[tuple[int, Assay]]:
        """Assays that say with whom they were made."""
        totals = [spectrum.total_counts for m in measurements for spectrum in m.spectra.values()]
        told = f"{len(totals)} spectra of {sum(totals)} counts"
        for i, assay in enumerate(map(self.stand_in, measurements, specimens)):
            if assay.mass_fraction[0] * 1e6 % 7 >= 1:
                yield i, replace(assay, recipe=replace(assay.recipe, block=told))


def stand_in_task(stand_in: StandIn, *, together: bool = False) -> Task:
    """A task with the cheap quantification."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    return Task(
        quantification=stand_in,
        together=StandInTogether(stand_in=stand_in) if together else None,
        method=method,
        procedure="stand-in",
        specimens=_Everything(),
    )


class _Entry:
    specimen = POWDER


class _Everything(dict[str, _Entry]):
    """A specimen list in which everybody stands."""

    def __bool__(self) -> bool:
        return True

    def get(self, key: object, default: object = None) -> _Entry:
        """The same entry for every specimen."""
        return _Entry()


def spectrum_of(number: int, n_channels: int) -> Spectrum:
    """A spectrum that no other number has."""
    rng = np.random.default_rng(number)
    channels = np.arange(n_channels)
    expected = 30.0 + 400.0 * np.exp(-0.5 * ((channels - 0.4 * n_channels) / (0.02 * n_channels)) ** 2)
    return Spectrum(
        counts=rng.poisson(expected),
        live_time_s=10.0,
        real_time_s=11.0,
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.01),
        condition=ExcitationCondition(name="low"),
    )


def write_stack(path: Path, n_spectra: int, n_channels: int, *, distinct: int = 1000) -> None:
    """A stack of measurements P0, P1 ...; spectra repeat after `distinct`, which saves time."""
    known = [spectrum_of(i, n_channels) for i in range(min(distinct, n_spectra))]
    write_hdf5(
        path,
        (Measurement(specimen=f"P{i}", spectra={"low": known[i % len(known)]}) for i in range(n_spectra)),
    )
