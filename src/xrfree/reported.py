"""Results that another method or another program has reported, for comparison with ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from xrfree.errors import DomainError
from xrfree.shown import Shown
from xrfree.spectrum import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedValue:
    """One reported content, kg/kg.

    component : element or compound as reported, e.g. "Nb" or "Fe2O3".
    mass_fraction : None where the content was not detected; it may be negative, and it is never a limit.
    standard_uncertainty : one standard deviation; None where none is given.
    detection_limit : what "not detected" means; None where it is not given.
    text : as written, e.g. "< LOD".
    """

    component: str
    mass_fraction: float | None
    standard_uncertainty: float | None = None
    detection_limit: float | None = None
    text: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        if not self.component.strip():
            raise DomainError("a reported value needs the name of its component")
        for name in ("mass_fraction", "standard_uncertainty", "detection_limit"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and abs(value) <= 1e6):
                raise DomainError(f"{self.component}: {name} is {value} kg/kg, expected a number")
        for name in ("standard_uncertainty", "detection_limit"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise DomainError(f"{self.component}: {name} is {value} kg/kg, expected a number > 0")

    @property
    def is_censored(self) -> bool:
        """Whether the content was not detected: somewhere below its limit, and not zero."""
        return self.mass_fraction is None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportedResults(Shown):
    """What another method says about one specimen (one reading of it).

    method : vendor and mode, as far as the file says.
    values : component -> value. Elements and their oxides may stand side by side: count each element once.
    metadata : everything else the file says, under the vendor's own names.
    """

    specimen: str
    method: str
    values: Mapping[str, ReportedValue]
    metadata: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an anonymous set, and values under another name; freeze."""
        if not self.specimen.strip():
            raise DomainError("reported results need the name of their specimen")
        for name, value in self.values.items():
            if name != value.component:
                raise DomainError(f"{self.specimen}: the value of {value.component!r} is listed under {name!r}")
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes (a mapping proxy does not)."""
        return (_rebuild, (self.specimen, self.method, dict(self.values), dict(self.metadata), self.sources))


def _rebuild(
    specimen: str,
    method: str,
    values: dict[str, ReportedValue],
    metadata: dict[str, str],
    sources: tuple[SourceFile, ...],
) -> ReportedResults:
    return ReportedResults(specimen=specimen, method=method, values=values, metadata=metadata, sources=sources)
