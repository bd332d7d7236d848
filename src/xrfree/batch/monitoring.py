"""Results of one specimen over time, as the ledger holds them."""

from __future__ import annotations

from dataclasses import dataclass

from xrfree.documents.assays import assay_of
from xrfree.errors import XrfreeError
from xrfree.ledger.store import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Results of one component over time: dates, contents (kg/kg), and the records they come from."""

    dates: tuple[str, ...]
    contents: tuple[float, ...]
    records: tuple[int, ...]


def recorded_series(ledger: Ledger, specimen: str, component: str) -> Series:
    """All results of a component of a specimen, oldest first; XrfreeError if there is none."""
    dates, contents, numbers = [], [], []
    for record in ledger.records(kind="result", subject=specimen):
        assay = assay_of(record.data)
        if component in assay.components:
            dates.append(record.created[:10])
            contents.append(float(assay.mass_fraction[assay.components.index(component)]))
            numbers.append(record.seq)
    if not contents:
        raise XrfreeError(
            f"the ledger holds no result of {specimen} with {component}. "
            "Assay the monitor under one name, with --ledger naming this ledger"
        )
    return Series(dates=tuple(dates), contents=tuple(contents), records=tuple(numbers))
