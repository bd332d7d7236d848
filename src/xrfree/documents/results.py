"""Results that `xrfree assay` wrote (assays.json), read back for what is done with them later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.documents._base import read_text
from xrfree.errors import DocumentError

FloatArray = NDArray[np.float64]

SCHEMA = "xrfree/assays/1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredAssay:
    """A result as it was written: mass fractions (kg/kg), covariance, budget, limits, verdicts, recipe.

    budget : standard uncertainty of each contribution, shape (n,). recipe : as written, plain data.
    quantification_limit : infinite where no content reaches it, or where it was not written.
    """

    specimen: str
    basis: str
    components: tuple[str, ...]
    analytes: tuple[str, ...]
    mass_fraction: FloatArray
    covariance: FloatArray
    budget: Mapping[str, FloatArray]
    coverage_factor: float
    decision_limit: FloatArray
    detection_limit: FloatArray
    quantification_limit: FloatArray
    verdicts: tuple[str, ...]
    recipe: Mapping[str, Any]

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal, kg/kg."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def index(self, component: str) -> int:
        """Position of a component; KeyError, with a sentence, where it was not assayed."""
        if component not in self.components:
            raise KeyError(f"{self.specimen} has no result for {component}; it has {', '.join(self.components)}")
        return self.components.index(component)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All results of one file, the digest of its bytes, and the outcome of its batch's gates ("" without gates).

    roles : by specimen, what the list of specimens said it is for.
    """

    path: Path
    sha256: str
    assays: tuple[StoredAssay, ...]
    gates: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)


def load_results(path: Path | str) -> Results:
    """Results of an assays.json, or of the folder that holds one.

    Raises DocumentError for what is no such file, or lacks what every result has.
    """
    path = Path(path)
    file = path / "assays.json" if path.is_dir() else path
    text = read_text(file)
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise DocumentError(
            file, found=f"is not JSON: {problem}", remedy="Give the assays.json of a batch"
        ) from problem
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DocumentError(file, place="schema", found=f"is not '{SCHEMA}'", remedy="Give the assays.json of a batch")
    try:
        assays = tuple(_stored(entry) for entry in content["assays"])
        gates = content.get("gates", {}).get("outcome", "")
        roles = {str(name): str(role) for name, role in content.get("roles", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        found = f"lacks or garbles a part of a result ({type(problem).__name__}: {problem})"
        raise DocumentError(file, found=found, remedy="Assay the batch again") from problem
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Results(path=file, sha256=sha256, assays=assays, gates=gates, roles=roles)


def _stored(entry: Mapping[str, Any]) -> StoredAssay:
    n = len(entry["components"])
    arrays = {key: _numbers(entry[key], (n,)) for key in ("mass_fraction", "decision_limit", "detection_limit")}
    return StoredAssay(
        specimen=str(entry["specimen"]),
        basis=str(entry["basis"]),
        components=tuple(entry["components"]),
        analytes=tuple(entry["analytes"]),
        covariance=_numbers(entry["covariance"], (n, n)),
        budget={name: _numbers(u, (n,)) for name, u in entry["budget"].items()},
        coverage_factor=float(entry["coverage_factor"]),
        quantification_limit=np.array(
            [np.inf if limit is None else float(limit) for limit in entry.get("quantification_limit", [None] * n)]
        ),
        verdicts=tuple(entry["verdicts"]),
        recipe=entry["recipe"],
        **arrays,
    )


def _numbers(value: Any, shape: tuple[int, ...]) -> FloatArray:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers of shape {shape}, got {array.shape}")
    array.setflags(write=False)
    return array
