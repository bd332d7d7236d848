"""What pages show of results: the ledger's assays, rounded by the report, as plain data for tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from xrfree.areas import FitVerdict
from xrfree.assay import Assay, Verdict
from xrfree.batch.assaying import recorded_assays
from xrfree.batch.curves import CurveFolder
from xrfree.batch.inputs import natural_order
from xrfree.ledger.store import Ledger
from xrfree.report.page import analyte_units, component_row

MOST_SHOWN = 2000
"""Specimens in the table of a page; all of them are in the files."""
_MOST_KEPT = 5000
STYLES = {
    Verdict.DETECTED: "detected",
    Verdict.NOT_DETECTED: "not-detected",
    Verdict.DOUBTFUL: "doubtful",
}
MARKS = {Verdict.DETECTED: "✓", Verdict.NOT_DETECTED: "–", Verdict.DOUBTFUL: "!"}
"""Signs beside the words: colours alone would not tell everybody."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An assay without its fits, and what the first of them says that is not good."""

    assay: Assay
    fit: FitVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Assays as a page shows them: analytes with their headings, one row per specimen, and what ± stands for."""

    analytes: list[tuple[str, str]]
    rows: list[dict[str, Any]]
    coverage_factors: str


class Results:
    """Assays by the numbers of their records; a record never changes, so each is read once."""

    def __init__(self, ledger_place: str) -> None:
        self._place = ledger_place
        self._kept: dict[int, _Kept] = {}
        self._lock = Lock()

    def table(self, records: Mapping[str, int], word: Callable[[str, str], str]) -> Table:
        """The assays of a batch, in the order of the specimens' names. Blocking; for a thread.

        word : the word of a name in a section of the catalogue.
        """
        names = sorted(records, key=natural_order)[:MOST_SHOWN]
        kept = self._read([records[name] for name in names])
        units = analyte_units([one.assay for one in kept])
        rows = []
        for name, one in zip(names, kept, strict=True):
            cells = {a: _cell(one.assay, a, units, word) for a in one.assay.analytes}
            good = one.fit is FitVerdict.GOOD
            fit = {"t": word("fit", str(one.fit)), "s": "detected" if good else "doubtful", "m": "✓" if good else "!"}
            rows.append({"specimen": name, "record": records[name], "fit": fit, **cells})
        return Table(
            analytes=[(analyte, f"{analyte}, {unit.sign}") for analyte, unit in units.items()],
            rows=rows,
            coverage_factors=", ".join(sorted({f"{one.assay.coverage_factor:g}" for one in kept})),
        )

    def _read(self, numbers: Sequence[int]) -> list[_Kept]:
        with self._lock:
            missing = [n for n in numbers if n not in self._kept]
            if len(self._kept) + len(missing) > _MOST_KEPT:
                self._kept.clear()
                missing = list(numbers)
            if missing:
                with Ledger(self._place, create=False) as ledger:
                    for number, assay in zip(missing, recorded_assays(ledger, missing), strict=True):
                        worst = next(
                            (a.verdict for a in assay.areas if a.verdict is not FitVerdict.GOOD), FitVerdict.GOOD
                        )
                        self._kept[number] = _Kept(replace(assay, areas=()), worst)
            return [self._kept[n] for n in numbers]

    def assay(self, number: int, folders: Sequence[Path]) -> Assay | None:
        """One assay with the curves of its fits, as far as one of these folders has them. Blocking; for a thread."""
        with Ledger(self._place, create=False) as ledger:
            for folder in folders:
                found = list(recorded_assays(ledger, [number], curves=CurveFolder(folder)))
                if not found or any(areas.curve.energy_kev.size for areas in found[0].areas):
                    return found[0] if found else None
            return next(iter(recorded_assays(ledger, [number])), None)


def _cell(assay: Assay, analyte: str, units: Mapping[str, Any], word: Callable[[str, str], str]) -> dict[str, Any]:
    """Text, number to sort by, verdict as word, mark and style of one analyte."""
    i = assay.components.index(analyte)
    row = component_row(assay, i, units[analyte])
    verdict = assay.verdicts[i]
    return {
        "t": f"{row.value} ± {row.uncertainty}",
        "n": float(assay.mass_fraction[i]),
        "v": word("verdict", str(verdict)),
        "m": MARKS[verdict],
        "s": STYLES[verdict],
    }
