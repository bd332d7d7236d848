"""The section `conformity` of method documents: a standard, and slots for what stands in its text.

    [conformity]
    standard = "ISO 9516-1"
    scheme = "fused bead, pure reagents, alpha coefficients"
    filled_by = ""

    [conformity.slots.alpha_table]
    what = "Table of alpha coefficients for the flux used"
    value = ""

A slot stays empty until the laboratory types it from its own copy; xrfree claims no conformity while one is empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from xrfree.conformity import Conformity, Slot
from xrfree.documents._base import Document, load_toml, validate
from xrfree.documents._parts import Name
from xrfree.errors import DocumentError


class SlotDocument(Document):
    """One slot, as a document writes it."""

    what: Annotated[str, Field(min_length=1)]
    value: str = ""


class ConformityDocument(Document):
    """A standard with its slots, as a document writes it."""

    standard: Annotated[str, Field(min_length=1)]
    scheme: Annotated[str, Field(min_length=1)]
    filled_by: str = ""
    slots: Annotated[dict[Name, SlotDocument], Field(min_length=1)]


def load_conformity(path: Path | str) -> Conformity | None:
    """The standard that a method document (of any kind) is built after; None where it names none."""
    path = Path(path)
    data = load_toml(path).get("conformity")
    if data is None:
        return None
    if not isinstance(data, dict):
        raise DocumentError(path, place="conformity", found="is not a section", remedy="Write [conformity]")
    document = validate(ConformityDocument, data, path)
    return Conformity(
        standard=document.standard,
        scheme=document.scheme,
        filled_by=document.filled_by,
        slots={name: Slot(what=slot.what, value=slot.value) for name, slot in document.slots.items()},
    )
