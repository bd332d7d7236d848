"""Sensitivities of one instrument and method, found with reference materials; curves of line intensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import CalibrationError, DomainError
from xrfree.shown import Shown

FloatArray = NDArray[np.float64]


class ModelKind(StrEnum):
    """How a curve corrects for the matrix."""

    NONE = "no matrix correction"
    FUNDAMENTAL = "fundamental parameters"
    THEORETICAL_ALPHAS = "theoretical influence coefficients"
    EMPIRICAL = "empirical influence coefficients"
    COMPTON = "Compton ratio"


STANDARDS_BEYOND_COEFFICIENTS = 2
"""Standards that a curve needs beyond its coefficients, so that their scatter can be seen at all."""
STANDARDS_PER_EMPIRICAL = 3
"""Standards per coefficient where coefficients describe the matrix: with fewer they fit the errors of the certificates
(a rule of thumb of the field, e.g. R. Jenkins, R. W. Gould, D. Gedcke, Quantitative X-Ray Spectrometry, 2nd ed.)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveModel:
    """Which terms a curve has.

    analyte : element; line : its line, as the rates name it.
    constant : whether the curve may miss the origin.
    overlaps : lines whose rates are added with a regressed coefficient.
    influencing_elements, influencing_lines : whose content or rate multiplies the analyte's rate (empirical models).
    compton_line : line of the tube's Compton peak (Compton ratio).
    alphas : theoretical influence coefficient of each element, per kg/kg of it in the specimen.
    """

    analyte: str
    line: str
    kind: ModelKind
    constant: bool = True
    overlaps: tuple[str, ...] = ()
    influencing_elements: tuple[str, ...] = ()
    influencing_lines: tuple[str, ...] = ()
    compton_line: str = ""
    alphas: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse terms that do not belong to the kind of model."""
        empirical = bool(self.influencing_elements or self.influencing_lines)
        if empirical != (self.kind is ModelKind.EMPIRICAL):
            raise DomainError(
                f"{self.analyte}: a model with {self.kind} has {'no ' if empirical else ''}influencing terms"
            )
        if bool(self.compton_line) != (self.kind is ModelKind.COMPTON):
            raise DomainError(f"{self.analyte}: a model with {self.kind} and the Compton line {self.compton_line!r}")
        if self.alphas and self.kind is not ModelKind.THEORETICAL_ALPHAS:
            raise DomainError(f"{self.analyte}: theoretical coefficients do not belong to a model with {self.kind}")
        if self.line in self.overlaps or len(set(self.terms)) != len(self.terms):
            raise DomainError(f"{self.analyte}: a term stands twice among {', '.join(self.terms)}")
        object.__setattr__(self, "alphas", MappingProxyType(dict(self.alphas)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes."""
        names = (
            "analyte",
            "line",
            "kind",
            "constant",
            "overlaps",
            "influencing_elements",
            "influencing_lines",
            "compton_line",
        )
        return (_rebuild_model, ({name: getattr(self, name) for name in names}, dict(self.alphas)))

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients, in their order."""
        own = f"{self.line} / {self.compton_line}" if self.compton_line else self.line
        return (
            *(("constant",) if self.constant else ()),
            own,
            *self.overlaps,
            *(f"{own} × w({element})" for element in self.influencing_elements),
            *(f"{own} × {line}" for line in self.influencing_lines),
        )

    @property
    def fewest_standards(self) -> int:
        """Reference materials without which this model is refused."""
        p = len(self.terms)
        if self.kind is ModelKind.EMPIRICAL:
            return STANDARDS_PER_EMPIRICAL * p
        return p + STANDARDS_BEYOND_COEFFICIENTS

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines whose rates the model needs."""
        extra = (self.compton_line,) if self.compton_line else ()
        return tuple(dict.fromkeys((self.line, *self.overlaps, *self.influencing_lines, *extra)))


def _rebuild_model(fields: Mapping[str, object], alphas: dict[str, float]) -> CurveModel:
    return CurveModel(**fields, alphas=alphas)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """Contents (kg/kg, of the specimen) of one element between which a calibration holds.

    by, at, why : who set it, when (ISO 8601) and for which reason; empty for the range of the standards.
    """

    element: str
    low: float
    high: float
    by: str = ""
    at: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        """Refuse a range upside down, and one that somebody set without saying everything."""
        if not self.low <= self.high:
            raise DomainError(f"{self.element}: a range from {self.low} to {self.high} is upside down")
        told = [bool(text.strip()) for text in (self.by, self.at, self.why)]
        if any(told) and not all(told):
            raise DomainError(f"{self.element}: a range is set by somebody, at some time, for a reason; say all three")


RANGE_ALLOWANCE = 0.05
"""By which part of its width a range may be left before a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Ranges of analytes and matrix elements within which a calibration was made."""

    ranges: tuple[ContentRange, ...] = ()

    def outside(self, contents: Mapping[str, float], *, dilution: float = 1.0, beyond: float = 0.0) -> dict[str, str]:
        """A sentence for each element outside its range, by element; elements without a range are not judged.

        contents : kg/kg of the specimen. dilution : kg of specimen per kg of sample; sentences speak of the sample.
        beyond : kg/kg of the sample by which a range may be left, in any case.
        """
        found = {}
        for span in self.ranges:
            if span.element not in contents:
                continue
            content, slack = contents[span.element], max(RANGE_ALLOWANCE * (span.high - span.low), beyond / dilution)
            if not span.low - slack <= content <= span.high + slack:
                side = "below" if content < span.low else "above"
                whose = "set for the calibration" if span.by else "of the standards"
                found[span.element] = (
                    f"{span.element} is {content * dilution:.4g} kg/kg, {side} the range {whose} "
                    f"({span.low * dilution:.4g} to {span.high * dilution:.4g})"
                )
        return found


def validity_of_points(points: Sequence[StandardPoint]) -> Validity:
    """Range of each element over the standards of a calibration of spectra, kg/kg of the specimen."""
    certified: dict[str, list[float]] = {}
    for point in points:
        certified.setdefault(point.group.rpartition("/")[2].partition(" ")[0], []).append(point.certified)
    return Validity(ranges=tuple(ContentRange(element=e, low=min(w), high=max(w)) for e, w in certified.items()))


class CalibrationStatus(StrEnum):
    """Where a calibration stands in its life."""

    DRAFT = "draft"
    APPROVED = "approved"
    SUPERSEDED = "superseded"


_NEXT = {
    CalibrationStatus.DRAFT: (CalibrationStatus.APPROVED, CalibrationStatus.SUPERSEDED),
    CalibrationStatus.APPROVED: (CalibrationStatus.SUPERSEDED,),
    CalibrationStatus.SUPERSEDED: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """Who changed the status of a calibration, when (ISO 8601, with a time zone) and why.

    sha256 : identity of the calibration that was looked at; empty where it was not written yet.
    """

    status: CalibrationStatus
    by: str
    at: str
    why: str
    sha256: str = ""

    def __post_init__(self) -> None:
        """Refuse a change nobody answers for."""
        for name in ("by", "at", "why"):
            if not getattr(self, name).strip():
                raise DomainError(
                    f"a calibration becomes {self.status} by somebody, at some time, for a reason: {name}?"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedStandard:
    """A standard that was measured and left out of one curve (or of all: curve empty), and why."""

    material: str
    reason: str
    by: str = ""
    at: str = ""
    curve: str = ""

    def __post_init__(self) -> None:
        """Refuse an exclusion without a reason."""
        if not self.reason.strip():
            raise DomainError(f"{self.material} is to be excluded without a reason; say what is wrong with it")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationCurve:
    """A fitted curve: w = M(w) Σ_j β_j t_j.

    coefficients : β, shape (p,); covariance : shape (p, p).
    scatter : relative standard deviation between specimens beyond all stated uncertainties.
    scatter_floor : content (kg/kg) below which the scatter no longer shrinks with the content.
    chi_square, n_standards, leave_one_out_rms (kg/kg) : how well it fits.
    """

    model: CurveModel
    coefficients: FloatArray
    covariance: FloatArray
    scatter: float
    scatter_floor: float
    chi_square: float
    n_standards: int
    leave_one_out_rms: float

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        p = len(self.model.terms)
        for name, shape in (("coefficients", (p,)), ("covariance", (p, p))):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"the curve of {self.model.analyte} has {p} terms and {name} of shape {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardPoint:
    """One reference material in the regression of one line group.

    certified, found : mass fraction in the specimen (kg/kg); standard uncertainties beside them.
    """

    material: str
    group: str
    certified: float
    certified_uncertainty: float
    found: float
    found_uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionKnowledge:
    """What the standards taught about the fit of one region, besides sensitivities and blanks.

    region : "condition/region".
    ratios : line group and cluster of each line ratio; ratio_deviation : from the templates, shape (n_ratios,), of a
        "shift" the move of the group's Kα in tenths of an eV; ratio_covariance : shape (n_ratios, n_ratios).
    shapes : parameters that differ from specimen to specimen: background terms over the first one, resolution;
        shape_mean, shape_covariance : of their population, shapes (n_shapes,) and (n_shapes, n_shapes).
    """

    region: str
    ratios: tuple[tuple[str, str], ...]
    ratio_deviation: FloatArray
    ratio_covariance: FloatArray
    shapes: tuple[str, ...]
    shape_mean: FloatArray
    shape_covariance: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        n, m = len(self.ratios), len(self.shapes)
        wanted = {
            "ratio_deviation": (n,),
            "ratio_covariance": (n, n),
            "shape_mean": (m,),
            "shape_covariance": (m, m),
        }
        for name, shape in wanted.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"{self.region}: {name} needs finite numbers of shape {shape}, got {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration(Shown):
    """Sensitivity and blank of every calibrated line group: r = k S (w + b).

    r net rate, S modelled strength per unit mass fraction, w mass fraction in the specimen.

    groups : "condition/region/La L" keys.
    log_sensitivity : ln k, shape (n,); covariance : of these, shape (n, n).
    blank : b, kg/kg in the specimen, what the line group shows where there is none of it, shape (n,).
    blank_uncertainty : standard uncertainty of b; blank_correlation : its correlation with ln k.
    relative_scatter : scatter between specimens beyond all stated uncertainties, shape (n,).
    absolute_scatter : its part that does not vanish at zero content, kg/kg in the specimen, shape (n,).
    regions : what the standards taught about the fit of each region.
    tables, instrument_sha256, method_sha256 : what the calibration belongs to.
    curves : of line intensities, wavelength-dispersive or fitted; contents of the specimen by `xrfree.curves`.
    validity, exclusions, history : ranges; standards left out with reasons; changes of status, the last one holds.
    """

    name: str
    groups: tuple[str, ...]
    log_sensitivity: FloatArray
    covariance: FloatArray
    blank: FloatArray
    blank_uncertainty: FloatArray
    blank_correlation: FloatArray
    relative_scatter: FloatArray
    absolute_scatter: FloatArray
    points: tuple[StandardPoint, ...]
    tables: str
    instrument_sha256: str
    method_sha256: str
    created: str
    software_version: str
    sha256: str = field(default="")
    regions: tuple[RegionKnowledge, ...] = ()
    curves: tuple[CalibrationCurve, ...] = ()
    validity: Validity = field(default_factory=Validity)
    exclusions: tuple[ExcludedStandard, ...] = ()
    history: tuple[StatusChange, ...] = ()

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        self._check_history()
        n = len(self.groups)
        shapes = {
            "log_sensitivity": (n,),
            "covariance": (n, n),
            "blank": (n,),
            "blank_uncertainty": (n,),
            "blank_correlation": (n,),
            "relative_scatter": (n,),
            "absolute_scatter": (n,),
        }
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(
                    f"a calibration of {n} groups needs finite {name} of shape {shape}, got {array.shape}"
                )
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def status(self) -> CalibrationStatus:
        """Where the calibration stands: a draft until somebody has changed that."""
        return self.history[-1].status if self.history else CalibrationStatus.DRAFT

    def _check_history(self) -> None:
        status = CalibrationStatus.DRAFT
        for change in self.history:
            if change.status not in _NEXT[status]:
                raise CalibrationError(f"a calibration that is {status} cannot become {change.status}")
            status = change.status
