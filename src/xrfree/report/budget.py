"""Uncertainty budgets for people: what contributes how much, and what to improve first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from xrfree.report.rounding import display_unit, rounded, rounded_alone

CONTRIBUTION_NAMES: Mapping[str, str] = {
    "counting": "counting statistics and overlap",
    "background": "background and line shapes, found in the same counts",
    "response": "line ratios, background and detector response, as calibrated",
    "misfit": "misfit of the spectrum model",
    "calibration": "calibration and its reference materials",
    "matrix": "matrix correction",
    "drift": "drift of the instrument",
    "preparation": "preparation of the specimen",
    "between specimens": "differences between specimens",
}
"""Contributions by their key in a budget; a complete budget has all of them, or says in which other one it is."""
ADVICE: Mapping[str, str] = {
    "counting": "measure longer, or with more current; four times the time halves it",
    "background": "measure longer, or more standards of this kind: they teach what is found here anew each time",
    "misfit": "look at the residuals of the fit: a line or a response term is missing",
    "response": "measure more standards of this kind, and pure compounds again: they show line ratios and background",
    "calibration": "add standards, or standards with smaller certified uncertainties",
    "matrix": "determine the ignition loss, or fuse the specimen",
    "drift": "measure the monitor more often",
    "preparation": "prepare duplicates and take their mean, or fuse",
    "between specimens": "grind finer, fuse, or use standards more like the specimens",
}
"""What to do about the largest contribution."""
_BAR = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One line of a budget: key, name for people, standard uncertainty, and its share of the variance (0 to 1)."""

    key: str
    name: str
    uncertainty: float
    share: float


def contributions(parts: Mapping[str, float]) -> tuple[Contribution, ...]:
    """Lines of a budget, largest first; parts : standard uncertainties by key."""
    total = sum(u * u for u in parts.values())
    lines = [
        Contribution(key=k, name=CONTRIBUTION_NAMES.get(k, k), uncertainty=u, share=u * u / total if total else 0.0)
        for k, u in parts.items()
    ]
    return tuple(sorted(lines, key=lambda line: -line.share))


def not_stated(parts: Iterable[str]) -> tuple[str, ...]:
    """Names of the usual contributions that a budget does not state by themselves."""
    stated = set(parts)
    return tuple(name for key, name in CONTRIBUTION_NAMES.items() if key not in stated)


def advice(lines: Sequence[Contribution]) -> str:
    """What to improve first."""
    largest = lines[0]
    what = ADVICE.get(largest.key, "look into it first")
    return f"Largest: {largest.name}, {100 * largest.share:.0f} % of the variance. To improve: {what}."


def budget_table(component: str, value: float, expanded: float, k: float, lines: Sequence[Contribution]) -> Table:
    """A budget with a bar for each contribution's share of the variance."""
    unit = display_unit([value])
    shown, u = rounded(value, expanded, unit)
    table = Table(title=f"{component}: {shown} ± {u} {unit.sign} (k = {k:g})", title_justify="left")
    table.add_column("contribution")
    table.add_column(f"u, {unit.sign}", justify="right", no_wrap=True)
    table.add_column("u, % of value", justify="right", no_wrap=True)
    table.add_column("share of the variance", no_wrap=True)
    for line in lines:
        relative = rounded_alone(100.0 * line.uncertainty / value) if value > 0.0 else "–"
        bar = "█" * round(_BAR * line.share)
        table.add_row(line.name, rounded_alone(line.uncertainty, unit), relative, f"{100 * line.share:5.1f} % {bar}")
    combined = float(np.sqrt(sum(line.uncertainty**2 for line in lines)))
    relative = rounded_alone(100.0 * combined / value) if value > 0.0 else "–"
    table.add_section()
    table.add_row("combined", rounded_alone(combined, unit), relative, "")
    return table
