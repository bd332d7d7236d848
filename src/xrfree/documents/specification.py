"""Specifications that results are judged against: TOML -> limits with their decision rules.

    schema = "xrfree/specification/1"
    name = "Concentrate, grade A"

    [[limits]]
    quantity = "REO"            # an element, an oxide, a sum or a ratio of results
    low = 0.06
    rule = "guard band"         # or "simple", "conditional"
    risk = 0.05

Limits of contents are in kg/kg, those of ratios have no unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from xrfree.documents._base import Document, place_in_document
from xrfree.documents._parts import identity, read_document, refused, section
from xrfree.quality.combination import Combination, parse_combination
from xrfree.quality.conformity import Rule, Tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What is permitted of one quantity, and how the uncertainty enters the decision."""

    quantity: Combination
    tolerance: Tolerance
    rule: Rule
    risk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """Limits that were agreed on, under a name; sha256 is the identity of the document."""

    name: str
    limits: tuple[Limit, ...]
    sha256: str


class LimitDocument(Document):
    """One limit, as a document writes it."""

    quantity: Annotated[str, Field(min_length=1)]
    low: float | None = None
    high: float | None = None
    rule: Literal["simple", "guard band", "conditional"] = "simple"
    risk: Annotated[float, Field(gt=0, lt=0.5)] = 0.05

    @model_validator(mode="after")
    def _limited(self) -> LimitDocument:
        if self.low is None and self.high is None:
            raise refused("expected low, high or both")
        return self


class SpecificationDocument(Document):
    """A specification, as a document writes it."""

    schema_name: Literal["xrfree/specification/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    limits: Annotated[tuple[LimitDocument, ...], Field(min_length=1)]


def load_specification(path: Path | str) -> Specification:
    """Specification of a TOML document."""
    path = Path(path)
    document = read_document(SpecificationDocument, path)
    limits = []
    for i, limit in enumerate(document.limits):
        with section(path, place_in_document(("limits", i))):
            low = -math.inf if limit.low is None else limit.low
            high = math.inf if limit.high is None else limit.high
            limits.append(
                Limit(
                    quantity=parse_combination(limit.quantity),
                    tolerance=Tolerance(low=low, high=high),
                    rule=Rule(limit.rule),
                    risk=limit.risk,
                )
            )
    return Specification(name=document.name, limits=tuple(limits), sha256=identity(document))
