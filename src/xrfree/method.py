"""A measuring procedure: which lines are fitted where, what stands for the unseen elements, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from math import sqrt
from types import MappingProxyType

from xrfree.atomic import atomic_number, emission_lines, line_group_shells, parse_formula
from xrfree.errors import DomainError
from xrfree.gates import Gate, check_gates
from xrfree.specimen import Specimen

FREE, FIXED, TIED = "free", "fixed", "tied"
_CLOSE_FWHM, _LONG_FWHM = 2.0, 3.0
"""Lines closer than the first leave no channel to the background between them; a band is longer than the second."""
_USUAL_NOISE_KEV, _USUAL_STATISTICS_KEV = 0.09, 0.0023
"""Full widths of a good silicon detector: FWHM² = 0.09² + 0.0023 E (keV)."""
_MAIN_LINE = 0.1
"""Share of its subshell from which on a line counts when overlaps are looked for."""


class Background(StrEnum):
    """What lies under the lines of a region.

    SCATTERED : the tube's continuum scattered by the specimen, times a smooth correction.
    POLYNOMIAL : a polynomial, with nothing known of tube and specimen.
    SNIP : peaks clipped from the counts; not between lines that overlap.
    """

    SCATTERED = "scattered"
    POLYNOMIAL = "polynomial"
    SNIP = "snip"


@cache
def split_group(group: str) -> tuple[str, str]:
    """Element and series of a line group: "La L" -> ("La", "L")."""
    element, _, series = group.partition(" ")
    atomic_number(element)
    line_group_shells(series)
    return element, series


def split_lines(lines: str) -> tuple[str, str]:
    """Line group and part of it: "Pr L2-M4,5" -> ("Pr L", "L2-M4,5"), "Fe K-M" -> ("Fe K", "K-M").

    Raises DomainError for a text that names no lines.
    """
    element, _, part = lines.partition(" ")
    atomic_number(element)
    if part.partition("-")[0] not in line_group_shells(part[:1]):
        raise DomainError(f"'{lines}' names no subshell and no lines of one, such as 'Pr L2' or 'Pr L2-M4,5'")
    return f"{element} {part[0]}", part


def overlapping_groups(lines: Sequence[tuple[str, float]], fwhm_kev: Sequence[float]) -> str | None:
    """Why peaks cannot be clipped from the counts: a band of lines of several groups; None where there is none.

    lines : (line group, energy in keV); fwhm_kev : full width of each.
    """
    run: list[int] = []
    for k in sorted(range(len(lines)), key=lambda k: lines[k][1]):
        if run and lines[k][1] - lines[run[-1]][1] > _CLOSE_FWHM * fwhm_kev[k]:
            run = []
        run.append(k)
        low, high = lines[run[0]][1], lines[k][1]
        groups = dict.fromkeys(lines[i][0] for i in run)
        if len(groups) > 1 and high - low > _LONG_FWHM * fwhm_kev[k]:
            return (
                f"the lines of {', '.join(groups)} overlap from {low:.2f} to {high:.2f} keV and further: peak clipping "
                '(snip) would take them for background. Use background = "scattered"'
            )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of one condition's spectrum that is fitted by itself.

    ranges_kev : energies that take part.
    quantified : line groups ("La L") whose areas become mass fractions.
    accompanying : line groups that are fitted because they are there; their contents come from elsewhere.
    background : what lies under the lines.
    background_terms : coefficients of the smooth correction to the scattered continuum, or of the polynomial.
    floor : whether an even floor of counts is fitted beside the background: what scattered light of higher energies
        leaves by incomplete charge collection. It matters where a filter takes the continuum away.
    ratios : (lines, choice) for single subshells ("Pr L2") or clusters of lines ("Pr L2-M4,5", "Fe K-M"), whose
        strength relative to the group's leading lines is otherwise held near the model's and the instrument's:
        "free" - one factor for these lines, found by the data alone;
        "fixed" - as the model and the instrument's calibration say;
        "tied" - these lines keep their ratios to one another, and share one factor;
        other lines ("Ce L2") - the same factor as theirs.
    non_negative : no area below 0; averages of such areas are biased.
    calibration_ranges_kev : energies that take part when the instrument is calibrated with pure compounds, where fewer
        lines lie; wide enough to show tails, shelf and pile-up. Empty: the same as `ranges_kev`.
    """

    name: str
    condition: str
    ranges_kev: tuple[tuple[float, float], ...]
    quantified: tuple[str, ...]
    accompanying: tuple[str, ...] = ()
    background: Background = Background.SCATTERED
    background_terms: int = 3
    floor: bool = False
    ratios: tuple[tuple[str, str], ...] = ()
    non_negative: bool = False
    calibration_ranges_kev: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Check groups and ranges."""
        groups = (*self.quantified, *self.accompanying)
        for group in groups:
            split_group(group)
        if len(set(groups)) != len(groups):
            raise DomainError(f"region {self.name} names a line group twice")
        ranges = (*self.ranges_kev, *self.calibration_ranges_kev)
        if not self.ranges_kev or any(not 0.0 < low < high for low, high in ranges):
            raise DomainError(f"region {self.name} needs ranges with 0 < low < high in keV, got {self.ranges_kev}")
        if not 1 <= self.background_terms <= 16:
            raise DomainError(f"region {self.name}: background_terms is {self.background_terms}, expected 1 to 16")
        self._check_ratios(groups)
        found = _overlapping(groups, self.ranges_kev) if self.background is Background.SNIP else None
        if found is not None:
            raise DomainError(f"region {self.name}: {found}")

    def _check_ratios(self, groups: Sequence[str]) -> None:
        choices = dict(self.ratios)
        for lines, choice in self.ratios:
            if choice not in (FREE, FIXED, TIED) and " " not in choice:
                raise DomainError(
                    f"region {self.name}: the ratio of {lines} is '{choice}', expected {FREE}, {FIXED}, {TIED} or the "
                    "lines whose factor it shares, such as 'Ce L2'"
                )
            for named in (lines, *((choice,) if choice not in (FREE, FIXED, TIED) else ())):
                if split_lines(named)[0] not in groups:
                    raise DomainError(f"region {self.name}: ratio of {named}, which is none of the region's lines")
            if choices.get(choice, FREE) not in (FREE, TIED):
                raise DomainError(
                    f"region {self.name}: {lines} has the ratio of {choice}, which is itself {choices[choice]}; "
                    f"give {lines} the same choice"
                )


def _overlapping(groups: Sequence[str], ranges_kev: Sequence[tuple[float, float]]) -> str | None:
    """Why peaks cannot be clipped with a good detector."""
    lines = [
        (group, line.energy_kev)
        for group in groups
        for shell in line_group_shells(group.partition(" ")[2])
        for line in emission_lines(group.partition(" ")[0], shell, least_fraction=_MAIN_LINE)
        if any(low < line.energy_kev < high for low, high in ranges_kev)
    ]
    return overlapping_groups(lines, [sqrt(_USUAL_NOISE_KEV**2 + _USUAL_STATISTICS_KEV * e) for _, e in lines])


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenRule:
    """What stands for the elements that no line shows.

    oxides : formula in which each seen element is bound.
    loss_on_ignition : formulas and mass shares of what ignition drives out of a powder.
    remainder : formulas and mass shares of what is missing to 1; "F-O" stands for fluorine in the place of oxygen.
    """

    oxides: Mapping[str, str]
    loss_on_ignition: Mapping[str, float]
    remainder: str = "F-O"

    def __post_init__(self) -> None:
        """Check formulas and shares."""
        for element, formula in self.oxides.items():
            if element not in parse_formula(formula):
                raise DomainError(f"{element} is to be bound as {formula}, which does not contain it")
        if abs(sum(self.loss_on_ignition.values()) - 1.0) > 1e-6:
            raise DomainError("shares of the loss on ignition must sum to 1")
        for formula in self.loss_on_ignition:
            parse_formula(formula)
        if self.remainder != "F-O":
            parse_formula(self.remainder)
        object.__setattr__(self, "oxides", MappingProxyType(dict(self.oxides)))
        object.__setattr__(self, "loss_on_ignition", MappingProxyType(dict(self.loss_on_ignition)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes."""
        return (_rebuild_rule, (dict(self.oxides), dict(self.loss_on_ignition), self.remainder))


def _rebuild_rule(oxides: dict[str, str], loss: dict[str, float], remainder: str) -> UnseenRule:
    return UnseenRule(oxides=oxides, loss_on_ignition=loss, remainder=remainder)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionMatch:
    """How a file's spectrum is recognised as belonging to a condition of the instrument.

    names : condition names a file may state.
    tube_voltage_kv, filter : what the file states otherwise; None where it does not matter.
    """

    names: tuple[str, ...]
    tube_voltage_kv: float | None = None
    filter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaboratoryUncertainty:
    """What a laboratory knows of its own work beyond counts and calibration: standard uncertainties.

    preparation : relative, of every content, independent between specimens and components.
    drift : relative, of the sensitivity of a condition since the last calibration or drift correction.
    loss_on_ignition : kg/kg; dilution : relative, of weighed flux over sample.
    """

    preparation: float = 0.0
    drift: float = 0.0
    loss_on_ignition: float = 0.0
    dilution: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no uncertainty."""
        for name in ("preparation", "drift", "loss_on_ignition", "dilution"):
            value = getattr(self, name)
            if not 0.0 <= value < 0.5:
                raise DomainError(f"the uncertainty of {name} is {value}, expected a number from 0 to 0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A measuring procedure.

    analytes : elements reported first; every quantified element is reported.
    specimen : what a specimen is when no specimen list says otherwise; None if a list must say.
    coverage_factor : k of the expanded uncertainties.
    false_positive_risk : of one specimen, shared by its analytes.
    ratio_sigma : relative standard uncertainty of line ratios that the instrument's calibration does not know.
    uncertainty : what the laboratory adds to every budget.
    gates : what a batch must pass; they change no result and are no part of the identity `sha256`.
    """

    name: str
    analytes: tuple[str, ...]
    regions: tuple[Region, ...]
    conditions: Mapping[str, ConditionMatch]
    unseen: UnseenRule
    specimen: Specimen | None = None
    coverage_factor: float = 2.0
    false_positive_risk: float = 0.05
    ratio_sigma: float = 0.02
    uncertainty: LaboratoryUncertainty = field(default_factory=LaboratoryUncertainty)
    gates: tuple[Gate, ...] = ()
    sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        quantified = [split_group(g)[0] for region in self.regions for g in region.quantified]
        measured = [(split_group(g)[0], region.condition) for region in self.regions for g in region.quantified]
        for element, condition in measured:
            if measured.count((element, condition)) > 1:
                raise DomainError(
                    f"{element} would be quantified from two line groups of the condition {condition}; choose one"
                )
        absent = [a for a in self.analytes if a not in quantified]
        if absent:
            raise DomainError(f"no region quantifies {', '.join(absent)}")
        unbound = [e for e in quantified if e not in self.unseen.oxides]
        if unbound:
            raise DomainError(f"the rule for unseen elements binds no oxide of {', '.join(unbound)}")
        unknown = {region.condition for region in self.regions} - set(self.conditions)
        if unknown:
            raise DomainError(f"no condition is called {', '.join(sorted(unknown))}")
        check_gates(self.gates, conditions=self.conditions, elements=quantified)
        object.__setattr__(self, "conditions", MappingProxyType(dict(self.conditions)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes."""
        return (
            _rebuild_method,
            (
                self.name,
                self.analytes,
                self.regions,
                dict(self.conditions),
                self.unseen,
                self.specimen,
                self.coverage_factor,
                self.false_positive_risk,
                self.ratio_sigma,
                self.uncertainty,
                self.gates,
                self.sha256,
            ),
        )

    @property
    def quantified_elements(self) -> tuple[str, ...]:
        """All elements that get a mass fraction, analytes first."""
        seen = [split_group(g)[0] for region in self.regions for g in region.quantified]
        return tuple(dict.fromkeys((*self.analytes, *seen)))


def _rebuild_method(*parts: object) -> Method:
    names = (
        "name",
        "analytes",
        "regions",
        "conditions",
        "unseen",
        "specimen",
        "coverage_factor",
        "false_positive_risk",
        "ratio_sigma",
        "uncertainty",
        "gates",
        "sha256",
    )
    return Method(**dict(zip(names, parts, strict=True)))  # type: ignore[arg-type]
