"""What a batch must pass before its results are released: the kinds of gates a method may have.

A gate is a question with a limit; `xrfree.quality.gating` answers it. Roles are those of the list of specimens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from xrfree.atomic import atomic_number, parse_formula
from xrfree.errors import DomainError


class Action(StrEnum):
    """What a gate does when it does not pass."""

    WARN = "warn"
    HOLD = "hold"


class Score(StrEnum):
    """By what a check standard is judged."""

    EN = "En"
    ZETA = "zeta"
    C_TEST = "C"


def _require_positive(gate: str, **numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not value > 0.0:
            raise DomainError(f"gate '{gate}': {name} is {value}, expected a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What all gates have: a name, the action, and whether a batch without anything to look at passes.

    roles : of the specimens it looks at; empty for all.
    required : whether the action is also taken where no such specimen was measured.
    """

    name: str
    action: Action = Action.HOLD
    roles: tuple[str, ...] = ()
    required: bool = False

    @property
    def named_condition(self) -> str | None:
        """The condition whose spectra it looks at; None where it looks at results."""
        return None

    @property
    def named_elements(self) -> tuple[str, ...]:
        """Elements whose results it asks for by name."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakGate(Gate):
    """Position and width of one strong line, such as Mn Ka or Fe Ka.

    element : whose K alpha line is looked at. highest_shift_kev : from its true energy, either way.
    highest_fwhm_kev, lowest_fwhm_kev : full width at half maximum; None where it is not looked at.
    least_counts : in the peak; fewer tell nothing, and the specimen is passed over.
    """

    condition: str
    element: str
    highest_shift_kev: float
    highest_fwhm_kev: float | None = None
    lowest_fwhm_kev: float | None = None
    least_counts: float = 2000.0

    def __post_init__(self) -> None:
        """Check numbers."""
        atomic_number(self.element)
        _require_positive(
            self.name,
            highest_shift_kev=self.highest_shift_kev,
            highest_fwhm_kev=self.highest_fwhm_kev,
            lowest_fwhm_kev=self.lowest_fwhm_kev,
        )

    @property
    def named_condition(self) -> str | None:
        """The condition whose spectra it looks at."""
        return self.condition


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadTimeGate(Gate):
    """Dead time, share of the real time."""

    condition: str
    highest: float

    def __post_init__(self) -> None:
        """Check the limit."""
        if not 0.0 < self.highest < 1.0:
            raise DomainError(f"gate '{self.name}': highest dead time is {self.highest}, expected between 0 and 1")

    @property
    def named_condition(self) -> str | None:
        """The condition whose spectra it looks at."""
        return self.condition


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeLineGate(Gate):
    """Count rate in a window around a scattered line of the tube.

    reference_per_s : rate when the method was set up; tolerance : relative.
    """

    condition: str
    window_kev: tuple[float, float]
    reference_per_s: float
    tolerance: float

    def __post_init__(self) -> None:
        """Check numbers."""
        _require_positive(self.name, reference_per_s=self.reference_per_s, tolerance=self.tolerance)
        if not 0.0 < self.window_kev[0] < self.window_kev[1]:
            raise DomainError(f"gate '{self.name}': window_kev needs 0 < low < high, got {self.window_kev}")

    @property
    def named_condition(self) -> str | None:
        """The condition whose spectra it looks at."""
        return self.condition


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftGate(Gate):
    """Net rates of a monitor against those when the calibration was made.

    reference_per_s : by condition and line group ("low/Fe K"); tolerance : relative.
    """

    reference_per_s: Mapping[str, float]
    tolerance: float

    def __post_init__(self) -> None:
        """Check numbers."""
        _require_positive(self.name, tolerance=self.tolerance)
        for group, rate in self.reference_per_s.items():
            _require_positive(self.name, **{f"reference rate of {group}": rate})


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankGate(Gate):
    """Contents of a blank.

    highest : mass fraction (kg/kg) allowed by element; elements that are not named must stay at or below their decision
    limit. elements : looked at; empty for the analytes.
    """

    elements: tuple[str, ...] = ()
    highest: Mapping[str, float] = field(default_factory=dict)

    @property
    def named_elements(self) -> tuple[str, ...]:
        """Elements it asks for by name."""
        return (*self.elements, *self.highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckGate(Gate):
    """Check standards against their certificates: |En| (or |zeta|, or |C|) of each element must not exceed the limit.

    elements : looked at; empty for the analytes.
    repeatability, reproducibility : r(X) and R(X) of the method as (slope, intercept) in kg/kg, by element; of the C
        test, which asks whether the deviation is one that laboratories usually have, whatever u says.
    """

    score: Score = Score.EN
    limit: float = 1.0
    elements: tuple[str, ...] = ()
    repeatability: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reproducibility: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the limit, and that the C test has what it needs."""
        _require_positive(self.name, limit=self.limit)
        if set(self.repeatability) != set(self.reproducibility) or bool(self.repeatability) != (
            self.score is Score.C_TEST
        ):
            raise DomainError(
                f"gate '{self.name}': the score C, and no other, needs repeatability and reproducibility of the same "
                "elements"
            )

    @property
    def named_elements(self) -> tuple[str, ...]:
        """Elements it asks for by name."""
        return (*self.elements, *self.repeatability)


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGate(Gate):
    """Duplicates: preparations of one sample, accepted by r(X) = slope X + intercept (kg/kg), or by DZ/T 0130.

    repeatability : (slope, intercept) by element. dz_t_grade : factor C of the DZ/T curve, for elements without r(X).
    """

    repeatability: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    dz_t_grade: float | None = None
    elements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is a limit at all."""
        _require_positive(self.name, dz_t_grade=self.dz_t_grade)
        if not self.repeatability and self.dz_t_grade is None:
            raise DomainError(f"gate '{self.name}': duplicates need repeatability or dz_t_grade to be judged by")

    @property
    def named_elements(self) -> tuple[str, ...]:
        """Elements it asks for by name."""
        return (*self.elements, *self.repeatability)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeGate(Gate):
    """Range of validity: mass fractions (kg/kg) between which the method holds, by element.

    ranges : empty for those of the calibration. What was not detected is not below a range.
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges."""
        for element, (low, high) in self.ranges.items():
            if not 0.0 <= low < high <= 1.0:
                raise DomainError(f"gate '{self.name}': range of {element} is {low} to {high}, expected 0 to 1 kg/kg")

    @property
    def named_elements(self) -> tuple[str, ...]:
        """Elements it asks for by name."""
        return tuple(self.ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitGate(Gate):
    """Fits: every region must have a good verdict, and a reduced deviance not above the limit."""

    highest_reduced_deviance: float = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class SumGate(Gate):
    """Sum of all oxides and the ignition loss of a sample, kg/kg.

    It stays below 1 by what the method does not see (fluorine, sodium).
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Check limits."""
        if not 0.0 <= self.low < self.high:
            raise DomainError(f"gate '{self.name}': sum between {self.low} and {self.high}, expected low below high")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesGate(Gate):
    """L (or M) lines of an element against what its K lines say.

    pairs : quantified line group and the accompanying one ("Nb K", "Nb L"); tolerance : relative.
    """

    pairs: tuple[tuple[str, str], ...]
    tolerance: float = 0.3

    def __post_init__(self) -> None:
        """Check that each pair is of one element."""
        _require_positive(self.name, tolerance=self.tolerance)
        for first, second in self.pairs:
            if first.split()[0] != second.split()[0]:
                raise DomainError(f"gate '{self.name}': {first} and {second} are not lines of one element")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternGate(Gate):
    """Contents of rare earths, normalised by chondrite, against their neighbours' interpolation.

    tolerance : by element, factor minus 1 by which a content may differ ({"Pr": 0.12, "Sm": 1.0}).
    """

    tolerance: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check elements and numbers."""
        for element, tolerance in self.tolerance.items():
            parse_formula(element)
            _require_positive(self.name, **{f"tolerance of {element}": tolerance})


def check_gates(gates: tuple[Gate, ...], *, conditions: Iterable[str], elements: Iterable[str]) -> None:
    """Refuse (DomainError) gates of one name, and gates that ask for what their method does not have."""
    known_conditions, known_elements = tuple(conditions), tuple(elements)
    names = [gate.name for gate in gates]
    for gate in gates:
        if names.count(gate.name) > 1:
            raise DomainError(f"two gates are called '{gate.name}'; give each a name of its own")
        if gate.named_condition is not None and gate.named_condition not in known_conditions:
            raise DomainError(
                f"gate '{gate.name}' looks at the condition '{gate.named_condition}', "
                f"the method has {', '.join(known_conditions)}"
            )
        unknown = [element for element in gate.named_elements if element not in known_elements]
        if unknown:
            raise DomainError(f"gate '{gate.name}' asks for {', '.join(unknown)}, which the method does not quantify")
