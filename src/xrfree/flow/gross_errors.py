"""What cannot be true: measurements that contradict the balances more than their uncertainties allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from xrfree.flow.reconciliation import Balance, Variable, reconcile
from xrfree.flow.sheet import OUTSIDE, FlowSheet, Measured, Stream

SAME = 1e-3
"""Measurements whose test statistics differ by less (relative) cannot be told from one another."""
MOST_FOUND = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GrossError:
    """A measurement that contradicts all others.

    statistic : |z| when it was found. estimate : what the other measurements say it should be.
    alternatives : measurements that would explain the contradiction as well.
    """

    stream: str
    quantity: str
    measured: float
    estimate: Measured
    statistic: float
    alternatives: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """A balance with the measurements left out that were found wrong."""

    balance: Balance
    first: Balance
    gross_errors: tuple[GrossError, ...]
    false_alarm: float


def critical_value(n_tests: int, *, false_alarm: float) -> float:
    """|z| that the largest of n exceeds with the probability `false_alarm` at most if nothing is wrong (Šidák)."""
    each = 1.0 - (1.0 - false_alarm) ** (1.0 / max(n_tests, 1))
    return float(norm.isf(each / 2.0))


def find_gross_errors(sheet: FlowSheet, *, false_alarm: float = 0.05) -> Verdict:
    """Serial elimination: the most suspicious measurement is left out, until nothing is suspicious.

    false_alarm : probability of finding anything in a flow sheet without gross errors.
    """
    first = balance = reconcile(sheet)
    left_out: list[Variable] = []
    found: list[GrossError] = []
    while len(found) < MOST_FOUND and balance.freedom > 0:
        z = balance.test_statistics
        suspects = np.flatnonzero(z >= (1.0 - SAME) * z.max())
        worst = int(suspects[0])  # a mass before its moisture, which it cannot be told from
        if z.max() <= critical_value(int(np.sum(z > 0.0)), false_alarm=false_alarm):
            break
        variable = balance.variables[worst]
        same = [balance.variables[i] for i in suspects[1:]]
        measured = float(balance.values[worst] + balance.adjusted[worst])
        left_out.append(variable)
        balance = reconcile(sheet, unmeasured=left_out)
        column = np.zeros((len(balance.values), 1))
        column[worst] = 1.0
        u = float(np.sqrt(max(0.0, balance.covariance_of(column)[0, 0])))
        found.append(
            GrossError(
                stream=variable[0],
                quantity=variable[1],
                measured=measured,
                estimate=Measured(value=float(balance.values[worst]), standard_uncertainty=u),
                statistic=float(z[worst]),
                alternatives=tuple(same),
            )
        )
    return Verdict(balance=balance, first=first, gross_errors=tuple(found), false_alarm=false_alarm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaccounted:
    """What goes into a process step by the raw measurements and does not come out; kg.

    quantity : "mass" (dry) or a component. significance : |imbalance| over its standard uncertainty.
    """

    step: str
    quantity: str
    entering: float
    leaving: float
    standard_uncertainty: float

    @property
    def imbalance(self) -> float:
        """Entering minus leaving, kg."""
        return self.entering - self.leaving

    @property
    def significance(self) -> float:
        """Imbalance in standard uncertainties."""
        return abs(self.imbalance) / self.standard_uncertainty if self.standard_uncertainty > 0.0 else 0.0


def unaccounted(sheet: FlowSheet) -> list[Unaccounted]:
    """Raw imbalances of all steps and of the whole plant, as far as everything around them was measured."""
    found: list[Unaccounted] = []
    for step in (*sheet.steps, OUTSIDE):
        into = [s for s in sheet.streams if s.target == step]
        out = [s for s in sheet.streams if s.source == step]
        if step == OUTSIDE:
            into, out = out, into
        for quantity in ("mass", *sheet.components):
            changes = step in sheet.changes_mass or (step == OUTSIDE and bool(sheet.changes_mass))
            if (quantity == "mass" and changes) or not (into and out):
                continue
            amounts = [[_amount(stream, quantity) for stream in side] for side in (into, out)]
            known = [[a for a in side if a is not None] for side in amounts]
            if [len(side) for side in known] == [len(side) for side in amounts]:
                variance = sum(a.standard_uncertainty**2 for side in known for a in side)
                found.append(
                    Unaccounted(
                        step="whole plant" if step == OUTSIDE else step,
                        quantity=quantity,
                        entering=_total(known[0]),
                        leaving=_total(known[1]),
                        standard_uncertainty=float(np.sqrt(variance)),
                    )
                )
    return found


def _total(amounts: Sequence[Measured]) -> float:
    return sum(amount.value for amount in amounts)


def _amount(stream: Stream, quantity: str) -> Measured | None:
    """Dry mass, or mass of a component, of a stream by its own measurements; None if one is missing."""
    if stream.wet_mass is None or (quantity != "mass" and quantity not in stream.contents.components):
        return None
    wet, moisture = stream.wet_mass, stream.moisture or Measured(value=0.0, standard_uncertainty=0.0)
    dry = wet.value * (1.0 - moisture.value)
    u_dry = np.hypot(wet.standard_uncertainty * (1.0 - moisture.value), wet.value * moisture.standard_uncertainty)
    if quantity == "mass":
        return Measured(value=dry, standard_uncertainty=float(u_dry))
    k = stream.contents.components.index(quantity)
    x = float(stream.contents.mass_fraction[k])
    u_x = float(np.sqrt(stream.contents.covariance[k, k]))
    return Measured(value=dry * x, standard_uncertainty=float(np.hypot(u_dry * x, dry * u_x)))
