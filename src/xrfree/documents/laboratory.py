"""Laboratory documents: TOML -> what a certificate says of the laboratory.

schema = "xrfree/laboratory/1"
name = "Laboratory of the works"
address = "..."
place = "X-ray room, building 7"
prefix = "XR"
remarks = "Accredited under ... for ..."
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from xrfree.documents._base import Document, load_toml, validate

_Text = Annotated[str, Field(min_length=1)]


class Laboratory(Document):
    """A laboratory; prefix stands before the numbers of its certificates, place is where the work is done."""

    schema_name: Literal["xrfree/laboratory/1"] = Field(alias="schema")
    name: _Text
    address: _Text
    place: _Text
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,12}$")] = "XR"
    remarks: str = ""


def load_laboratory(path: Path | str) -> Laboratory:
    """Laboratory of a TOML document."""
    return validate(Laboratory, load_toml(path), path)
