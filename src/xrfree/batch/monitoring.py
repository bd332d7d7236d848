"""Results over time, as the ledger holds them: of one specimen, or of the duplicates of a method."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Duplicates over time: dates, samples, contents (kg/kg) of the first two preparations, and their records."""

    dates: tuple[str, ...]
    samples: tuple[str, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    records: tuple[tuple[int, int], ...]


def methods_with_duplicates(ledger: Ledger) -> dict[str, tuple[str, ...]]:
    """Methods whose gates asked for duplicates, and the components of the last ones, by name of the method."""
    last: dict[str, int] = {}
    for record in ledger.records(kind="gates"):
        for numbers in record.data.get("duplicates", {}).values():
            last[record.subject] = int(numbers[0])
    components = {record.seq: record.data["components"] for record in ledger.records(numbers=list(last.values()))}
    return {method: tuple(map(str, components[number])) for method, number in last.items()}


def recorded_pairs(ledger: Ledger, method: str, component: str) -> Pairs:
    """Duplicates of all batches of a method, oldest first, a pair that was asked about again only once.

    Raises XrfreeError if there is none.
    """
    asked = {
        (int(numbers[0]), int(numbers[1])): (record.created[:10], sample)
        for record in ledger.records(kind="gates", subject=method)
        for sample, numbers in record.data.get("duplicates", {}).items()
    }
    contents = {}
    for record in ledger.records(numbers=[number for pair in asked for number in pair]):
        assay = assay_of(record.data)
        if component in assay.components:
            contents[record.seq] = float(assay.mass_fraction[assay.components.index(component)])
    pairs = [pair for pair in asked if pair[0] in contents and pair[1] in contents]
    if not pairs:
        raise XrfreeError(
            f"the ledger holds no duplicates of the method {method} with {component}. Name their samples in the list "
            "of specimens, and give the method a gate that asks for duplicates"
        )
    return Pairs(
        dates=tuple(asked[pair][0] for pair in pairs),
        samples=tuple(asked[pair][1] for pair in pairs),
        first=tuple(contents[a] for a, _ in pairs),
        second=tuple(contents[b] for _, b in pairs),
        records=tuple(pairs),
    )


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
