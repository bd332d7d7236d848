"""A measuring procedure for line intensities: which lines, how they are corrected, which curve each analyte has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from xrfree.atomic import XrayLine, atomic_number
from xrfree.calibration import CurveModel, ModelKind
from xrfree.errors import DomainError
from xrfree.intensities import IntensityKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOverlap:
    """A line that adds `ratio` times its own net rate to another one, whatever the specimen."""

    line: str
    ratio: float
    ratio_uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCorrection:
    """What is to be done to one line.

    dead_time_s, dead_time_uncertainty_s : of its detector; 0 where the spectrometer has corrected it.
    background : weight of each background position, by name; None: interpolated in 2θ through all there are.
    overlaps : of known ratio; those to be regressed are terms of the model instead.
    kind : gross or net, where the file does not say.
    background_rate_per_s : of a net intensity, because its counting statistics are those of gross and background.
    counting_time_s : of the peak, where the file does not say.
    """

    dead_time_s: float = 0.0
    dead_time_uncertainty_s: float = 0.0
    background: Mapping[str, float] | None = field(default_factory=dict)
    overlaps: tuple[KnownOverlap, ...] = ()
    kind: IntensityKind | None = None
    background_rate_per_s: float | None = None
    counting_time_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse dead times that cannot be."""
        for name in ("dead_time_s", "dead_time_uncertainty_s"):
            value = getattr(self, name)
            if not 0.0 <= value < 1e-3:
                raise DomainError(f"{name} is {value}, expected seconds between 0 and 1e-3")
        if self.background is not None:
            object.__setattr__(self, "background", MappingProxyType(dict(self.background)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLine:
    """One line of the procedure: its element, the transitions counted there (for theory), its correction."""

    element: str
    transitions: tuple[str, ...] = ()
    correction: LineCorrection = field(default_factory=LineCorrection)

    def __post_init__(self) -> None:
        """Refuse lines that the element does not have."""
        atomic_number(self.element)
        for transition in self.transitions:
            XrayLine(self.element, transition)

    @property
    def xray_lines(self) -> tuple[XrayLine, ...]:
        """The transitions as lines."""
        return tuple(XrayLine(self.element, transition) for transition in self.transitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excitation:
    """What theory needs: condition of the instrument, and what fills the specimen up to 1.

    Elements without a curve are part of the base: measure those that vary by more than a few per cent of the specimen.
    """

    condition: str
    base: Mapping[str, float]

    def __post_init__(self) -> None:
        """Freeze."""
        object.__setattr__(self, "base", MappingProxyType(dict(self.base)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMethod:
    """A measuring procedure for line intensities.

    lines : by the name that the intensity table uses.
    models : one curve per analyte; alphas are found when the method is calibrated.
    excitation : None where no curve needs theory.
    """

    name: str
    lines: Mapping[str, MeasuredLine]
    models: tuple[CurveModel, ...]
    excitation: Excitation | None = None
    coverage_factor: float = 2.0
    false_positive_risk: float = 0.05
    sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        object.__setattr__(self, "lines", MappingProxyType(dict(self.lines)))
        analytes = [model.analyte for model in self.models]
        twice = {a for a in analytes if analytes.count(a) > 1}
        if twice or not analytes:
            raise DomainError(f"{self.name}: one curve per analyte, got {', '.join(analytes) or 'none'}")
        for model in self.models:
            absent = [line for line in model.lines if line not in self.lines]
            if absent:
                raise DomainError(f"{self.name}: the curve of {model.analyte} needs {', '.join(absent)}, not measured")
            if self.lines[model.line].element != model.analyte:
                raise DomainError(f"{self.name}: {model.line} is no line of {model.analyte}")
            if model.kind in (ModelKind.FUNDAMENTAL, ModelKind.THEORETICAL_ALPHAS):
                self._require_theory(model)

    def _require_theory(self, model: CurveModel) -> None:
        if self.excitation is None or not self.lines[model.line].transitions:
            raise DomainError(
                f"{self.name}: {model.kind} of {model.analyte} need the section excitation, and the transitions of "
                f"{model.line}"
            )

    @property
    def analytes(self) -> Sequence[str]:
        """Elements with a curve."""
        return tuple(model.analyte for model in self.models)

    @property
    def corrections(self) -> dict[str, LineCorrection]:
        """Correction of each line."""
        return {name: line.correction for name, line in self.lines.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReading:
    """Rate of one line on one monitor: on the day of calibration, and now (1/s)."""

    reference_per_s: float
    reference_uncertainty_per_s: float
    now_per_s: float
    now_uncertainty_per_s: float

    def __post_init__(self) -> None:
        """Refuse rates that no monitor has."""
        for name in ("reference_per_s", "now_per_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise DomainError(f"{name} of a drift monitor is {getattr(self, name)}, expected a rate above 0")
