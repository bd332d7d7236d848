"""Designs of synthetic standards, as a document asks for them.

    schema = "xrfree/design/1"
    name = "Rare earths, first set"
    n_mixtures = 24
    mass_g = 10.0
    resolution_g = 0.0001
    balance_uncertainty_g = 0.00005
    largest_correlation = 0.03
    seed = 1
    base = { name = "SiO2", formula = "SiO2", purity = 0.999, purity_uncertainty = 0.0005 }

    [components.La2O3]
    formula = "La2O3"
    low = 0.0
    high = 0.035
    purity = 0.9995
    purity_uncertainty = 0.0003

    [prediction]
    line_method = "wd.toml"
    flux_per_sample = 10.0
    rate_scale = 2.0e-4
    background_per_s = 100.0
    counting_time_s = 40.0
    relative_uncertainty = 0.003

`low` and `high` are mass fractions of the substance in the mixture. `rate_scale` turns the model's photons/(s sr mA)
into counts/s: take it from one measured line. A section `prediction` is optional.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from xrfree.documents._base import Document
from xrfree.documents._parts import Formula, Name, NotNegative, Positive, read_document

SCHEMA = "xrfree/design/1"

Share = Annotated[float, Field(ge=0, le=1)]


class SubstanceDocument(Document):
    """A substance with its purity, as a document writes it."""

    formula: Formula
    purity: Annotated[float, Field(gt=0, le=1)]
    purity_uncertainty: Annotated[float, Field(ge=0, le=0.5)]
    lot: str = ""


class ComponentDocument(SubstanceDocument):
    """A substance with the range of its mass fraction, as a document writes it."""

    low: Share
    high: Share


class BaseDocument(SubstanceDocument):
    """What fills the mixtures up to 1, as a document writes it."""

    name: Name
    least: Share = 0.0


class PredictionDocument(Document):
    """What predictions need, as a document writes it."""

    line_method: Annotated[str, Field(min_length=1)]
    flux_per_sample: NotNegative = 0.0
    rate_scale: Positive
    background_per_s: NotNegative
    counting_time_s: Positive
    relative_uncertainty: Positive


class DesignDocument(Document):
    """A design, as a document asks for it."""

    schema_name: Literal["xrfree/design/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    n_mixtures: Annotated[int, Field(ge=3, le=1000)]
    mass_g: Positive
    resolution_g: Positive
    balance_uncertainty_g: NotNegative
    largest_correlation: Annotated[float, Field(gt=0, lt=1)] = 0.03
    seed: int
    base: BaseDocument
    components: Annotated[dict[Name, ComponentDocument], Field(min_length=2)]
    prediction: PredictionDocument | None = None


def load_design(path: Path | str) -> DesignDocument:
    """Design of a TOML document."""
    return read_document(DesignDocument, Path(path))
