"""A standard that a method follows, and the numbers of it that a laboratory must type from its own copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xrfree.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place for something that stands in the text of a standard.

    what : what belongs here, and where in the text it is to be found.
    value : as typed by the laboratory; empty until then.
    """

    what: str
    value: str = ""

    @property
    def empty(self) -> bool:
        """Whether nobody has filled it."""
        return not self.value.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformity:
    """The standard a method is built after. xrfree claims nothing; it says what is missing.

    standard : its number and year, as the laboratory cites it; scheme : which way of working is followed.
    filled_by : who typed the slots from which copy; empty while nobody has.
    """

    standard: str
    scheme: str
    slots: Mapping[str, Slot]
    filled_by: str = ""

    def __post_init__(self) -> None:
        """Refuse a standard without a name, or without slots."""
        if not self.standard.strip() or not self.slots:
            raise DomainError("a standard profile names its standard and has at least one slot")
        object.__setattr__(self, "slots", MappingProxyType(dict(self.slots)))

    @property
    def empty_slots(self) -> tuple[str, ...]:
        """Names of the slots nobody has filled."""
        return tuple(name for name, slot in self.slots.items() if slot.empty)

    @property
    def complete(self) -> bool:
        """Whether all slots are filled and somebody answers for them."""
        return not self.empty_slots and bool(self.filled_by.strip())

    def statement(self) -> str:
        """The one sentence a report may print."""
        if self.empty_slots:
            names = ", ".join(self.empty_slots[:6]) + (" ..." if len(self.empty_slots) > 6 else "")
            return (
                f"No conformity with {self.standard} is claimed: {len(self.empty_slots)} of {len(self.slots)} entries "
                f"from its text are empty ({names})."
            )
        if not self.complete:
            return f"No conformity with {self.standard} is claimed: nobody has signed its entries (filled_by)."
        return f"Set up after {self.standard} with the entries filled in by {self.filled_by}."
