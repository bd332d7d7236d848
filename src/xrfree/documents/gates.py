"""Tables `[[gates]]` of a method document.

    [[gates]]
    name = "iron line"
    kind = "instrument check"
    action = "hold"
    condition = "low"
    element = "Fe"
    highest_shift_ev = 8.0
    highest_fwhm_ev = 150.0

Every gate has name, kind, action ("hold" or "warn"), optionally roles (of the list of specimens; each kind has its
usual ones) and required (whether a batch without such a specimen is held or warned about, too). Contents are in kg/kg.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from xrfree.documents._base import Document, place_in_document
from xrfree.documents._parts import Element, LineGroupName, Name, NotNegative, Positive, section
from xrfree.gates import (
    Action,
    BlankGate,
    CheckGate,
    DeadTimeGate,
    DriftGate,
    DuplicateGate,
    FitGate,
    Gate,
    PatternGate,
    PeakGate,
    RangeGate,
    Score,
    SeriesGate,
    SumGate,
    TubeLineGate,
)

_KEV_PER_EV = 1e-3

_Pair = tuple[NotNegative, NotNegative]


class _GateDocument(Document):
    """What all gates have in common; `gate` is the noun, `usual_roles` those without `roles`."""

    gate: ClassVar[type[Gate]]
    usual_roles: ClassVar[tuple[str, ...]] = ()

    name: Name
    action: Literal["hold", "warn"] = "hold"
    roles: tuple[str, ...] | None = None
    required: bool = False

    def noun(self) -> Gate:
        """The gate itself; keys that end in _ev become keV."""
        fields: dict[str, Any] = {}
        for key, value in self.model_dump(exclude={"kind", "action", "roles"}).items():
            in_ev = key.endswith("_ev") and value is not None
            fields[f"{key[:-2]}kev" if key.endswith("_ev") else key] = value * _KEV_PER_EV if in_ev else value
        roles = self.usual_roles if self.roles is None else self.roles
        return self.gate(action=Action(self.action), roles=roles, **fields)


class PeakGateDocument(_GateDocument):
    """Position and width of a K alpha line."""

    gate = PeakGate
    kind: Literal["instrument check"]
    condition: Name
    element: Element
    highest_shift_ev: Positive
    highest_fwhm_ev: Positive | None = None
    lowest_fwhm_ev: Positive | None = None
    least_counts: Positive = 2000.0


class DeadTimeGateDocument(_GateDocument):
    """Dead time."""

    gate = DeadTimeGate
    kind: Literal["dead time"]
    condition: Name
    highest: Annotated[float, Field(gt=0, lt=1)]


class TubeLineGateDocument(_GateDocument):
    """Rate of a scattered tube line of the monitor."""

    gate = TubeLineGate
    usual_roles = ("monitor",)
    kind: Literal["tube line"]
    condition: Name
    window_kev: tuple[Positive, Positive]
    reference_per_s: Positive
    tolerance: Positive


class DriftGateDocument(_GateDocument):
    """Net rates of the monitor."""

    gate = DriftGate
    usual_roles = ("monitor",)
    kind: Literal["drift monitor"]
    reference_per_s: Annotated[dict[str, Positive], Field(min_length=1)]
    tolerance: Positive


class BlankGateDocument(_GateDocument):
    """Contents of blanks."""

    gate = BlankGate
    usual_roles = ("blank",)
    kind: Literal["blank"]
    elements: tuple[Element, ...] = ()
    highest: dict[Element, NotNegative] = Field(default_factory=dict)


class CheckGateDocument(_GateDocument):
    """Check standards against their certificates."""

    gate = CheckGate
    usual_roles = ("check",)
    kind: Literal["check standard"]
    score: Literal["En", "zeta", "C"] = "En"
    limit: Positive = 1.0
    elements: tuple[Element, ...] = ()
    repeatability: dict[Element, _Pair] = Field(default_factory=dict)
    reproducibility: dict[Element, _Pair] = Field(default_factory=dict)

    def noun(self) -> Gate:
        """The gate itself."""
        roles = self.usual_roles if self.roles is None else self.roles
        fields: dict[str, Any] = self.model_dump(exclude={"kind", "action", "roles", "score"})
        return CheckGate(action=Action(self.action), roles=roles, score=Score(self.score), **fields)


class DuplicateGateDocument(_GateDocument):
    """Preparations of one sample."""

    gate = DuplicateGate
    kind: Literal["duplicates"]
    repeatability: dict[Element, _Pair] = Field(default_factory=dict)
    dz_t_grade: Positive | None = None
    elements: tuple[Element, ...] = ()


class RangeGateDocument(_GateDocument):
    """Range of validity."""

    gate = RangeGate
    kind: Literal["range of validity"]
    ranges: dict[Element, _Pair] = Field(default_factory=dict)


class FitGateDocument(_GateDocument):
    """Verdicts of the fits."""

    gate = FitGate
    kind: Literal["fit"]
    highest_reduced_deviance: Positive = 1e9


class SumGateDocument(_GateDocument):
    """Sum of oxides and ignition loss."""

    gate = SumGate
    kind: Literal["element sum"]
    low: NotNegative
    high: Positive


class SeriesGateDocument(_GateDocument):
    """Two line series of one element."""

    gate = SeriesGate
    kind: Literal["line series"]
    pairs: Annotated[tuple[tuple[LineGroupName, LineGroupName], ...], Field(min_length=1)]
    tolerance: Positive = 0.3


class PatternGateDocument(_GateDocument):
    """Smoothness of the rare-earth pattern."""

    gate = PatternGate
    kind: Literal["rare-earth pattern"]
    tolerance: Annotated[dict[Element, Positive], Field(min_length=1)]


GateDocument = Annotated[
    PeakGateDocument
    | DeadTimeGateDocument
    | TubeLineGateDocument
    | DriftGateDocument
    | BlankGateDocument
    | CheckGateDocument
    | DuplicateGateDocument
    | RangeGateDocument
    | FitGateDocument
    | SumGateDocument
    | SeriesGateDocument
    | PatternGateDocument,
    Field(discriminator="kind"),
]


def gates_of(documents: Sequence[_GateDocument], path: Path) -> tuple[Gate, ...]:
    """Gates of a method document; an error names its table."""
    found = []
    for i, document in enumerate(documents):
        with section(path, place_in_document(("gates", i))):
            found.append(document.noun())
    return tuple(found)
