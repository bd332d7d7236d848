"""Weighing records of synthetic standards: TOML -> ReferenceMaterial.

    schema = "xrfree/weighing/1"
    balance_uncertainty_g = 0.00005
    source = "notebook 12, p. 31"

    [reagents.La2O3]
    formula = "La2O3"
    purity = 0.9995
    purity_uncertainty = 0.0003
    lot = "A17"

    [[mixtures]]
    name = "SYN-01"
    date = 2025-05-02
    masses_g = { La2O3 = 0.0512, Fe2O3 = 0.6011 }

`masses_g` names reagents. Mixtures of one lot share the error of its purity, also across documents.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from xrfree.documents._base import Document
from xrfree.documents._parts import Formula, Name, NotNegative, Positive, read_document, section
from xrfree.reference import ReferenceMaterial
from xrfree.weighing import Mixture, Reagent, weighed_material

SCHEMA = "xrfree/weighing/1"


class ReagentDocument(Document):
    """A substance that was weighed, as a document writes it."""

    formula: Formula
    purity: Annotated[float, Field(gt=0, le=1)]
    purity_uncertainty: Annotated[float, Field(ge=0, le=0.5)]
    lot: str = ""


class MixtureDocument(Document):
    """One mixture, as a document writes it."""

    name: Name
    masses_g: Annotated[dict[Name, Positive], Field(min_length=1)]
    balance_uncertainty_g: NotNegative | None = None
    date: dt.date | None = None


class WeighingDocument(Document):
    """Weighing records of mixtures of the same reagents, as a document writes them."""

    schema_name: Literal["xrfree/weighing/1"] = Field(alias="schema")
    balance_uncertainty_g: NotNegative
    source: str = ""
    reagents: Annotated[dict[Name, ReagentDocument], Field(min_length=1)]
    mixtures: Annotated[tuple[MixtureDocument, ...], Field(min_length=1)]


def load_weighing(path: Path | str) -> tuple[ReferenceMaterial, ...]:
    """Reference materials of a document of weighing records."""
    path = Path(path)
    document = read_document(WeighingDocument, path)
    with section(path, "reagents"):
        reagents = [Reagent(name=name, **reagent.model_dump()) for name, reagent in document.reagents.items()]
    materials = []
    for i, mixture in enumerate(document.mixtures):
        with section(path, f"mixtures[{i}]"):
            weighed = Mixture(
                name=mixture.name,
                mass_g=mixture.masses_g,
                balance_uncertainty_g=(
                    document.balance_uncertainty_g
                    if mixture.balance_uncertainty_g is None
                    else mixture.balance_uncertainty_g
                ),
                date=mixture.date,
            )
            materials.append(weighed_material(weighed, reagents, source=document.source or path.name))
    return tuple(materials)
