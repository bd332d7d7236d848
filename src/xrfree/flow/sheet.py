"""A flow sheet: process steps, the streams between them, and what was measured of each stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]
OUTSIDE = "outside"
"""Where streams come from that enter the plant, and where those go that leave it."""


class Stage(StrEnum):
    """What a material is on its way from the ore to the product."""

    ORE = "ore"
    CONCENTRATE = "concentrate"
    SINTER = "sinter"
    HOT_METAL = "hot metal"
    SLAG = "slag"
    TAILINGS = "tailings"
    DUST = "dust"
    MIXED_CARBONATE = "mixed carbonate"
    OXIDE = "oxide"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A quantity with its standard uncertainty; infinite where nothing determines it."""

    value: float
    standard_uncertainty: float

    def __post_init__(self) -> None:
        """Refuse what is no measurement."""
        u = self.standard_uncertainty
        if not (np.isfinite(self.value) and u >= 0.0):
            raise DomainError(f"a measured quantity is {self.value} ± {u}, expected numbers, the second not below 0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents:
    """Mass fractions (kg/kg, of the dry mass) of some components with their covariance.

    components : shape (n,); mass_fraction : shape (n,); covariance : shape (n, n).
    """

    components: tuple[str, ...]
    mass_fraction: FloatArray
    covariance: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        n = len(self.components)
        if len(set(self.components)) != n:
            raise DomainError(f"contents name a component twice: {', '.join(self.components)}")
        for name, shape in (("mass_fraction", (n,)), ("covariance", (n, n))):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"contents of {n} components need finite {name} of shape {shape}, got {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if np.any(np.diag(self.covariance) < 0.0):
            raise DomainError("the covariance of contents has a variance below 0")


NO_CONTENTS = Contents(components=(), mass_fraction=np.empty(0), covariance=np.empty((0, 0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """Material that goes from one process step to another in the time of the balance.

    source, target : names of process steps, or `OUTSIDE`.
    wet_mass : kg; None where nobody weighed. moisture : kg water per kg wet mass; None for dry material.
    contents : those that were measured; the others follow from the balance as far as it determines them.
    """

    name: str
    source: str
    target: str
    stage: Stage = Stage.OTHER
    wet_mass: Measured | None = None
    moisture: Measured | None = None
    contents: Contents = NO_CONTENTS

    def __post_init__(self) -> None:
        """Refuse streams that go nowhere, and masses and moistures that are none."""
        if not self.name.strip() or self.source == self.target:
            raise DomainError(
                f"stream {self.name!r} goes from {self.source} to {self.target}; it needs a name and a way"
            )
        if self.wet_mass is not None and self.wet_mass.value < 0.0:
            raise DomainError(f"stream {self.name}: the mass is {self.wet_mass.value} kg, expected 0 or more")
        if self.moisture is not None and not 0.0 <= self.moisture.value < 1.0:
            raise DomainError(f"stream {self.name}: the moisture is {self.moisture.value}, expected kg/kg from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlowSheet:
    """Streams, and the components that are balanced.

    changes_mass : process steps that take up or give off mass no stream shows (roasting, reduction); there only the
        components are balanced.
    common_relative : standard uncertainty, relative, that all contents of a component share, as from one calibration.
        It drops out of balances and recoveries and is added to grades.
    """

    name: str
    components: tuple[str, ...]
    streams: tuple[Stream, ...]
    changes_mass: frozenset[str] = frozenset()
    common_relative: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that streams, steps and components belong together."""
        names = [stream.name for stream in self.streams]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice or not self.streams:
            raise DomainError(f"a flow sheet needs streams, each with a name of its own; twice: {', '.join(twice)}")
        for stream in self.streams:
            strange = sorted(set(stream.contents.components) - set(self.components))
            if strange:
                raise DomainError(f"stream {stream.name}: {', '.join(strange)} is no component of the flow sheet")
        unknown = sorted(self.changes_mass - set(self.steps))
        if unknown:
            raise DomainError(f"no stream comes from or goes to the step {', '.join(unknown)}")
        object.__setattr__(self, "common_relative", MappingProxyType(dict(self.common_relative)))

    @property
    def steps(self) -> tuple[str, ...]:
        """Process steps in the order in which the streams name them."""
        places = (place for stream in self.streams for place in (stream.source, stream.target))
        return tuple(dict.fromkeys(place for place in places if place != OUTSIDE))

    @property
    def feeds(self) -> tuple[Stream, ...]:
        """Streams that enter the plant."""
        return tuple(stream for stream in self.streams if stream.source == OUTSIDE)

    def stream(self, name: str) -> Stream:
        """A stream by its name.

        Raises DomainError for a name that no stream has.
        """
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise DomainError(f"no stream is called {name!r}; there are {', '.join(s.name for s in self.streams)}")
