"""What a worker does: measurements come in, contents of records go out.

Workers load this module and what it needs, and neither readers nor the ledger's database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Protocol

from xrfree.areas import FitCurve
from xrfree.assay import Assay
from xrfree.batch.faults import foreseen
from xrfree.block_quantification import quantify_alike
from xrfree.documents.assays import assay_data
from xrfree.errors import DomainError
from xrfree.ledger.records import canonical_text
from xrfree.quantification import Prepared, matched_conditions, quantify
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement


class Quantification(Protocol):
    """From a measurement to its assay; it may raise."""

    def __call__(self, measurement: Measurement, specimen: Specimen, /) -> Assay:
        """The assay of a measurement."""
        ...


class Together(Protocol):
    """From many measurements to places and assays of those that are alike, as they come; the others are done alone.

    drawn : places of those whose fits are to be drawn.
    """

    def __call__(
        self, measurements: Sequence[Measurement], specimens: Sequence[Specimen], drawn: frozenset[int], /
    ) -> Iterator[tuple[int, Assay]]:
        """Assays of some of the measurements."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The quantification of measurements by a prepared method."""

    prepared: Prepared

    def __call__(self, measurement: Measurement, specimen: Specimen, /) -> Assay:
        """Spectra under the method's names, then fit and matrix correction."""
        return quantify(matched_conditions(measurement, self.prepared.method), self.prepared, specimen)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTogether:
    """The same for many measurements together."""

    prepared: Prepared

    def __call__(
        self, measurements: Sequence[Measurement], specimens: Sequence[Specimen], drawn: frozenset[int], /
    ) -> Iterator[tuple[int, Assay]]:
        """Assays of measurements that are alike."""
        matched: dict[int, Measurement] = {}
        for place, measurement in enumerate(measurements):
            with suppress(DomainError):  # alone, it will be refused for this
                matched[place] = matched_conditions(measurement, self.prepared.method)
        places = list(matched)
        found = quantify_alike(
            list(matched.values()),
            self.prepared,
            [specimens[place] for place in places],
            drawn=frozenset(k for k, place in enumerate(places) if place in drawn),
        )
        return ((places[k], assay) for k, assay in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A measurement on its way to a worker; drawn : whether the curves of its fits are wanted."""

    measurement: Measurement
    specimen: Specimen
    drawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What comes back from a worker: the content of the record."""

    content: str
    curves: tuple[FitCurve, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Assays of some measurements: of those that are alike together, of the others one by one; it does not raise."""

    quantification: Quantification
    together: Together | None

    def __call__(self, loads: Sequence[Load]) -> list[Done | Exception]:
        """One outcome for each load."""
        try:
            known = self._together(loads) if len(loads) > 1 else {}
        except Exception as error:  # nothing stops a batch
            return [foreseen(error)] * len(loads)
        return [known[i] if i in known else self._alone(load) for i, load in enumerate(loads)]

    def _together(self, loads: Sequence[Load]) -> dict[int, Done]:
        if self.together is None:
            return {}
        drawn = frozenset(i for i, load in enumerate(loads) if load.drawn)
        found = self.together([load.measurement for load in loads], [load.specimen for load in loads], drawn)
        return {i: _done(loads[i], assay) for i, assay in found}  # an assay needs more memory than its record

    def _alone(self, load: Load) -> Done | Exception:
        try:
            return _done(load, self.quantification(load.measurement, load.specimen))
        except Exception as error:  # nothing stops a batch
            return foreseen(error)


def _done(load: Load, assay: Assay) -> Done:
    content = canonical_text({**assay_data(assay), "prepared": asdict(load.specimen)})
    return Done(content=content, curves=tuple(a.curve for a in assay.areas) if load.drawn else ())
