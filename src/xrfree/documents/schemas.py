"""JSON schemas of our documents, for editors and for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xrfree.documents._base import Document
from xrfree.documents.calibration import CalibrationDocument
from xrfree.documents.certificates import CertificateDocument
from xrfree.documents.design import DesignDocument
from xrfree.documents.flowsheet import FlowSheetDocument
from xrfree.documents.instrument import InstrumentDocument
from xrfree.documents.laboratory import Laboratory
from xrfree.documents.line_method import LineMethodDocument
from xrfree.documents.method import MethodDocument
from xrfree.documents.plan import PlanDocument
from xrfree.documents.specification import SpecificationDocument
from xrfree.documents.weighing import WeighingDocument
from xrfree.errors import DomainError

_MODELS: Mapping[str, type[Document]] = MappingProxyType(
    {
        "calibration": CalibrationDocument,
        "certificate": CertificateDocument,
        "design": DesignDocument,
        "flowsheet": FlowSheetDocument,
        "instrument": InstrumentDocument,
        "line-method": LineMethodDocument,
        "laboratory": Laboratory,
        "method": MethodDocument,
        "specification": SpecificationDocument,
        "validation-plan": PlanDocument,
        "weighing": WeighingDocument,
    }
)


def schema_names() -> tuple[str, ...]:
    """Kinds of documents that have a schema."""
    return tuple(_MODELS)


def json_schema(name: str) -> dict[str, Any]:
    """JSON schema of one kind of document."""
    if name not in _MODELS:
        raise DomainError(f"'{name}' is not a kind of document; known: {', '.join(_MODELS)}")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | _MODELS[name].model_json_schema(by_alias=True)
