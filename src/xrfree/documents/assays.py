"""Assays as plain data for a ledger, and back: every number comes back bit by bit.

Matrices are symmetric and would be most of the text: their lower triangle stands as base64 of little-endian float64.
What was fitted is kept, the curves of the fit (`FitCurve`) are not.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NO_CURVE, FitVerdict, NetAreas
from xrfree.assay import Assay, Recipe, Verdict
from xrfree.composition import Composition

FloatArray = NDArray[np.float64]


def assay_data(assay: Assay) -> dict[str, Any]:
    """An assay as plain data, kg/kg; null where a number is none."""
    vectors = ("mass_fraction", "decision_limit", "detection_limit", "standard_uncertainty")
    return {
        "specimen": assay.specimen,
        "basis": assay.basis,
        "components": list(assay.components),
        "analytes": list(assay.analytes),
        **{name: getattr(assay, name).tolist() for name in vectors},
        "quantification_limit": _numbers(assay.quantification_limit),
        "covariance": packed_symmetric(assay.covariance),
        "budget": {name: _numbers(u) for name, u in assay.budget.items()},
        "budget_order": list(assay.budget),
        "coverage_factor": float(assay.coverage_factor),
        "verdicts": [str(verdict) for verdict in assay.verdicts],
        "reasons": list(assay.reasons),
        "composition": [list(assay.composition.elements), assay.composition.mass_fraction.tolist()],
        "areas": [_areas_data(areas) for areas in assay.areas],
        "iterations": int(assay.iterations),
        "recipe": {f.name: _listed(getattr(assay.recipe, f.name)) for f in fields(assay.recipe)},
    }


def assay_of(data: Mapping[str, Any], *, with_areas: bool = True) -> Assay:
    """The assay of `assay_data`; the curves of its fits are empty.

    with_areas : False leaves out the net areas, which take most of the time, where only results are wanted.
    """
    plain = ("specimen", "basis", "mass_fraction", "coverage_factor", "decision_limit", "detection_limit", "iterations")
    recipe: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["recipe"].items()}
    elements, mass_fraction = data["composition"]
    return Assay(
        **{name: data[name] for name in plain},
        components=tuple(data["components"]),
        analytes=tuple(data["analytes"]),
        covariance=unpacked_symmetric(data["covariance"]),
        quantification_limit=_quantified(data),
        budget={name: _array(data["budget"][name]) for name in data["budget_order"]},
        verdicts=tuple(Verdict(verdict) for verdict in data["verdicts"]),
        reasons=tuple(data["reasons"]),
        composition=Composition(elements=tuple(elements), mass_fraction=np.array(mass_fraction)),
        areas=tuple(_areas_of(areas) for areas in data["areas"]) if with_areas else (),
        recipe=Recipe(**recipe),
    )


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _quantified(data: Mapping[str, Any]) -> FloatArray:
    """Quantification limits; none where no content reaches one, and in records from before they were stated."""
    stated = data.get("quantification_limit", [None] * len(data["components"]))
    return np.array([math.inf if limit is None else limit for limit in stated])


def _areas_data(areas: NetAreas) -> dict[str, Any]:
    return {
        "condition": areas.condition,
        "region": areas.region,
        "groups": list(areas.groups),
        "area": areas.area.tolist(),
        "covariance": packed_symmetric(areas.covariance),
        "counting_covariance": packed_symmetric(areas.counting_covariance),
        "response_covariance": packed_symmetric(areas.response_covariance),
        "variance_at_zero": areas.variance_at_zero.tolist(),
        "live_time_s": float(areas.live_time_s),
        "survival": _number(areas.survival),
        "reduced_deviance": _number(areas.reduced_deviance),
        "verdict": str(areas.verdict),
        "reason": areas.reason,
        "parameters": [[name, _number(value), _number(u)] for name, (value, u) in areas.parameters.items()],
    }


def _areas_of(data: Mapping[str, Any]) -> NetAreas:
    return NetAreas(
        condition=data["condition"],
        region=data["region"],
        groups=tuple(data["groups"]),
        area=np.array(data["area"]),
        covariance=unpacked_symmetric(data["covariance"]),
        counting_covariance=_part(data, "counting_covariance"),
        response_covariance=_part(data, "response_covariance"),
        variance_at_zero=np.array(data["variance_at_zero"]),
        live_time_s=data["live_time_s"],
        survival=_float(data["survival"]),
        reduced_deviance=_float(data["reduced_deviance"]),
        verdict=FitVerdict(data["verdict"]),
        reason=data["reason"],
        parameters={name: (_float(value), _float(u)) for name, value, u in data["parameters"]},
        curve=NO_CURVE,
    )


def _part(data: Mapping[str, Any], name: str) -> FloatArray:
    """A part of the covariance; ledgers keep records from before the parts were told apart."""
    if name in data:
        return unpacked_symmetric(data[name])
    return np.zeros((len(data["groups"]), len(data["groups"])))


def packed_symmetric(matrix: FloatArray) -> dict[str, Any]:
    """Lower triangle of a symmetric matrix, row by row, as base64 of little-endian float64."""
    n = len(matrix)
    triangle = np.ascontiguousarray(matrix[np.tri(n, dtype=bool)], dtype="<f8")
    return {"symmetric": n, "f8": base64.b64encode(triangle.tobytes()).decode("ascii")}


def unpacked_symmetric(data: Mapping[str, Any]) -> FloatArray:
    """The matrix of `packed_symmetric`, shape (n, n)."""
    n = int(data["symmetric"])
    matrix = np.zeros((n, n))
    matrix[np.tri(n, dtype=bool)] = np.frombuffer(base64.b64decode(data["f8"]), dtype="<f8")
    return np.asarray(matrix + np.tril(matrix, -1).T)


def _numbers(values: FloatArray) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _array(values: list[float | None]) -> FloatArray:
    return np.array([_float(value) for value in values])
