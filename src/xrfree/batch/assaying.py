"""Assays of many measurements: each is recorded as soon as it is done, and none is made twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from xrfree.assay import Assay
from xrfree.batch.catalogue import Arrival
from xrfree.batch.curves import CurveFolder
from xrfree.batch.faults import UnexpectedError
from xrfree.batch.identity import assay_identity
from xrfree.batch.inputs import refusal, sorted_refusals
from xrfree.batch.memory import give_back
from xrfree.batch.work import Done, Load, Quantification, Together, Work
from xrfree.batch.workers import Crew, WorkerDiedError
from xrfree.documents.assays import assay_of
from xrfree.errors import DomainError, XrfreeError
from xrfree.ledger.records import Entry, canonical_text, sha256_text
from xrfree.ledger.signing import Signer
from xrfree.ledger.store import Ledger, entry
from xrfree.method import Method
from xrfree.quantification import matched_conditions
from xrfree.report.refused import Refusal
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement, Spectrum

COMMIT_S = 1.0
"""Results wait for at most this long before they are committed, or until there are `COMMIT_RESULTS`."""
COMMIT_RESULTS = 512
_LOOKED_UP = 256
BLOCK = 512
"""Measurements that are assayed together: they follow one another in the batch, whoever works on them."""


class SpecimenEntry(Protocol):
    """What a specimen list says of one specimen, as far as a batch wants to know."""

    @property
    def specimen(self) -> Specimen:
        """Form, thickness, ignition loss or fusion record."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How the measurements of a batch become assays.

    together : how blocks of `BLOCK` measurements are assayed; None for one by one.
    procedure : identity of documents and software (`procedure_identity`).
    specimens : what a specimen list says, by name of the specimen; None for no list.
    retry : assay again what was refused before.
    """

    quantification: Quantification
    method: Method
    procedure: str
    together: Together | None = None
    specimens: Mapping[str, SpecimenEntry] | None = None
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Where results are recorded, and by whom."""

    ledger: Ledger
    actor: str
    signer: Signer | None = None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has become of a batch so far.

    numbers : records of the results, by specimen. recognised : how many were there already.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    refused_specimens: int = 0
    recognised: int = 0

    @property
    def done(self) -> int:
        """Specimens that are done with, one way or the other."""
        return len(self.numbers) + self.refused_specimens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What the batch remembers of a measurement while a worker has it.

    key : identity of its assay; wanted : False if it only keeps others company.
    """

    specimen: str
    paths: tuple[Path, ...]
    key: str
    wanted: bool = True


def record_batch(
    arrivals: Iterable[Arrival],
    task: Task,
    book: Book,
    crew: Crew,
    *,
    refusals: Iterable[Refusal] = (),
    curves: CurveFolder | None = None,
    drawn: frozenset[str] = frozenset(),
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Assay measurements and record them as they are done.

    refusals : of files that could not be read before; they are recorded too.
    drawn : specimens whose fits are kept in the folder of `curves`, to be drawn.
    progress : called whenever something is done with.

    A measurement whose assay, or refusal, the ledger holds already is not assayed again. LedgerError when the ledger
    cannot be written; what is committed stays, and the same call goes on from there.
    """
    batch = _Batch(task=task, book=book, curves=curves, drawn=drawn, progress=progress)
    batch.refused_already(refusals)
    work = Work(quantification=task.quantification, together=task.together)
    try:
        for job, outcome in crew.results(work, batch.groups(arrivals)):
            batch.take(job, outcome)
    except KeyboardInterrupt:
        batch.commit()
        raise
    batch.commit()
    batch.tally.refusals = list(sorted_refusals(batch.tally.refusals))
    return batch.tally


class _Batch:
    """The state of a running batch: what is to be committed, and what has been."""

    def __init__(
        self,
        *,
        task: Task,
        book: Book,
        curves: CurveFolder | None,
        drawn: frozenset[str],
        progress: Callable[[Tally], None] | None,
    ) -> None:
        self.tally = Tally()
        self._task, self._book, self._curves, self._progress = task, book, curves, progress
        self._drawn = drawn if curves is not None else frozenset[str]()
        self._waiting: list[tuple[str, Entry]] = []
        self._committed = time.monotonic()

    def groups(self, arrivals: Iterable[Arrival]) -> Iterator[list[tuple[_Job, Load]]]:
        """What remains to be assayed: neither known to the ledger nor refused on the way.

        Of measurements that are assayed together, all are, as long as one remains: each gives the same as ever.
        """
        source = iter(arrivals)
        while (pairs := self._next(source)) is not None:
            if self._task.together is None:
                yield from ([(job, load)] for job, load in pairs if job.wanted)
            elif any(job.wanted for job, _ in pairs):
                yield pairs
            del pairs  # its counts would stay in memory while the next are read

    def _next(self, source: Iterator[Arrival]) -> list[tuple[_Job, Load]] | None:
        """The next measurements that are looked up together; None at the end."""
        block = list(islice(source, _LOOKED_UP if self._task.together is None else BLOCK))
        if not block:
            return None
        return self._told([pair for arrival in block if (pair := self._pair(arrival)) is not None])

    def _told(self, pairs: Sequence[tuple[_Job, Load]]) -> list[tuple[_Job, Load]]:
        """The same, those that are done with marked and counted."""
        keys = [job.key for job, _ in pairs]
        known = self._book.ledger.with_keys([*keys, *map(_refused_key, keys)])
        told = []
        for job, load in pairs:
            wanted = False
            if job.key in known:
                self.tally.numbers[job.specimen] = known[job.key]
                self.tally.recognised += 1
                self._tell()
            elif _refused_key(job.key) in known and not self._task.retry:
                self._refused_before(known[_refused_key(job.key)])
            else:
                wanted = True
            told.append((replace(job, wanted=wanted), load))
        return told

    def _pair(self, arrival: Arrival) -> tuple[_Job, Load] | None:
        name = arrival.specimen
        if not isinstance(arrival.measurement, Measurement):
            self._refuse(name, arrival.paths, arrival.measurement, key="")
            return None
        try:
            specimen = specimen_of(arrival.measurement, self._task.method, self._task.specimens)
        except XrfreeError as error:
            self._refuse(name, arrival.paths, error, key="")
            return None
        key = assay_identity(arrival.measurement, specimen, self._task.procedure)
        load = Load(measurement=arrival.measurement, specimen=specimen, drawn=name in self._drawn)
        return _Job(specimen=name, paths=arrival.paths, key=key), load

    def refused_already(self, refusals: Iterable[Refusal]) -> None:
        """Keep refusals of files that never became measurements."""
        for refused in refusals:
            self.tally.refusals.append(refused)
            self._waiting.append(("", refusal_entry([refused])))

    def take(self, job: _Job, outcome: Done | Exception) -> None:
        """Keep an outcome until the next commit."""
        if not job.wanted:
            return
        if isinstance(outcome, Done):
            found = Entry(kind="result", subject=job.specimen, content=outcome.content, key=job.key)
            self._waiting.append((job.specimen, found))
            if outcome.curves and self._curves is not None:
                self._curves.keep(job.key, outcome.curves)
        else:
            self._refuse(job.specimen, job.paths, outcome, key=job.key)
        if len(self._waiting) >= COMMIT_RESULTS or time.monotonic() - self._committed > COMMIT_S:
            self.commit()

    def _refuse(self, specimen: str, paths: Sequence[Path], error: Exception, *, key: str) -> None:
        refusals = [refusal(path, specimen, error) for path in paths]
        self.tally.refusals += refusals
        self.tally.refused_specimens += 1
        # A fault of the program or of the machine is worth another try; the same error would come again.
        lasting = bool(key) and not isinstance(error, UnexpectedError | WorkerDiedError)
        self._waiting.append(("", refusal_entry(refusals, key=_refused_key(key) if lasting else "")))
        self._tell()

    def _refused_before(self, number: int) -> None:
        for record in self._book.ledger.records(numbers=[number]):
            self.tally.refusals += [Refusal(**fields) for fields in record.data["refused"]]
        self.tally.refused_specimens += 1
        self._tell()

    def commit(self) -> None:
        """Record what waits."""
        if self._waiting:
            book = self._book
            new = book.ledger.append([e for _, e in self._waiting], actor=book.actor, signer=book.signer)
            numbers = {record.key: record.seq for record in new}
            # What another process recorded meanwhile has its number there.
            foreign = [e.key for name, e in self._waiting if name and e.key not in numbers]
            numbers.update(book.ledger.with_keys(foreign))
            self.tally.numbers.update({name: numbers[e.key] for name, e in self._waiting if name})
            self._waiting.clear()
            give_back()
        self._committed = time.monotonic()
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.tally)


def _refused_key(key: str) -> str:
    return f"refused:{key}"


def refusal_entry(refusals: Iterable[Refusal], *, key: str = "") -> Entry:
    """The record of refusals; the same files refused for the same reason stand in the ledger once.

    key : identity of the assay that is not to be tried again; empty if it is.
    """
    rows = [asdict(r) for r in refusals]
    told = canonical_text({"refused": [{**row, "details": ""} for row in rows]})
    subject = rows[0]["specimen"] or rows[0]["path"]
    return entry("refusal", subject, {"refused": rows}, key=key or f"refusal:{sha256_text(told)}")


def specimen_of(measurement: Measurement, method: Method, entries: Mapping[str, SpecimenEntry] | None) -> Specimen:
    """What the specimen list says of a measurement's specimen, else what the method says of all specimens."""
    listed = (entries or {}).get(measurement.specimen)
    specimen = method.specimen if listed is None else listed.specimen
    if specimen is None:
        what = "is not in the specimen list" if entries is not None else "needs a specimen list"
        raise XrfreeError(
            f"specimen {measurement.specimen!r} {what}, and method {method.name} does not say "
            "what its specimens are. Give form, density and thickness in a list (--specimens)."
        )
    return specimen


def recorded_assays(
    ledger: Ledger, numbers: Sequence[int], *, curves: CurveFolder | None = None, with_areas: bool = True
) -> Iterator[Assay]:
    """Assays of the records with these numbers, in this order.

    curves : of their fits, as far as they are known; None for none.
    with_areas : False leaves out net areas, where only results are wanted.
    """
    for record in ledger.records(numbers=numbers):
        assay = assay_of(record.data, with_areas=with_areas)
        known = () if curves is None else curves.of(record.key)
        if known and len(known) == len(assay.areas):
            areas = tuple(replace(a, curve=curve) for a, curve in zip(assay.areas, known, strict=True))
            assay = replace(assay, areas=areas)
        yield assay


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
