"""Assays made by hand, for tests of what stands above them: what must come out is then known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xrfree.areas import FitCurve, FitVerdict, NetAreas
from xrfree.assay import Assay, Recipe, Verdict
from xrfree.composition import Composition
from xrfree.documents.assays import assay_data
from xrfree.ledger.records import Entry
from xrfree.ledger.store import Ledger, entry

ANALYTES = ("La", "Ce", "Pr", "Nd", "Sm", "Nb")
COMPONENTS = (*ANALYTES, "Fe")
FOUND = np.array([0.0123456, 0.02, 0.0009, 0.0071, -0.0000021, 0.00031, 0.45])


def areas(reason: str = "") -> NetAreas:
    """A fitted region with Poisson-like counts."""
    energy = np.concatenate([np.arange(4.0, 5.5, 0.01), np.arange(5.8, 7.0, 0.01)])
    background = 200.0 - 10.0 * energy
    expected = background + 900.0 * np.exp(-0.5 * ((energy - 4.65) / 0.06) ** 2)
    counts = np.random.default_rng(1).poisson(expected).astype(float)
    return NetAreas(
        condition="low",
        region="band",
        groups=("La L", "Ce L", "Fe K"),
        area=np.array([1000.0, 400.0, 90000.0]),
        covariance=np.diag([2000.0, 900.0, 91000.0]),
        counting_covariance=np.diag([1500.0, 700.0, 90000.0]),
        response_covariance=np.diag([300.0, 100.0, 1000.0]),
        variance_at_zero=np.array([500.0, 400.0, 300.0]),
        live_time_s=600.0,
        survival=0.99,
        reduced_deviance=1.04,
        verdict=FitVerdict.GOOD,
        reason=reason,
        parameters={"zero": (0.001, 0.0001), "fixed": (1.0, float("nan"))},
        curve=FitCurve(energy_kev=energy, counts=counts, expected=expected, background=background),
    )


def made_assay(specimen: str = "P01", **changes: Any) -> Assay:
    """An assay, with some of its parts changed."""
    u = 0.01 * np.abs(FOUND) + 1e-5
    fields: dict[str, Any] = {
        "specimen": specimen,
        "basis": "specimen as measured",
        "components": COMPONENTS,
        "analytes": ANALYTES,
        "mass_fraction": FOUND,
        "covariance": np.diag(u**2),
        "budget": {"counting": 0.6 * u, "calibration": 0.8 * u},
        "coverage_factor": 2.0,
        "decision_limit": np.full(7, 2e-5),
        "detection_limit": np.full(7, 4e-5),
        "quantification_limit": np.array([*[9e-5] * 6, np.inf]),
        "verdicts": (*[Verdict.DETECTED] * 4, Verdict.NOT_DETECTED, Verdict.DOUBTFUL, Verdict.DETECTED),
        "reasons": ("", "", "", "", "at or below the decision limit", "poor fit: something is there", ""),
        "composition": Composition.of({"Fe2O3": 0.64, "SiO2": 0.3}),
        "areas": (areas(),),
        "iterations": 3,
        "recipe": Recipe(
            source_sha256=("aa" * 32, "bb" * 32),
            sources=("P01.low.csv", "P01.high.csv"),
            method="Ore",
            method_sha256="cc" * 32,
            instrument="Bench",
            instrument_sha256="dd" * 32,
            calibration="May",
            calibration_sha256="ee" * 32,
            tables="xraylib 4.1.5",
            software_version="0.1.0",
        ),
    }
    return Assay(**{**fields, **changes})


def made_result(specimen: str, moved: float) -> Entry:
    """A result as a ledger records it: lanthanum at 1.2 %, moved by so many 0.01 %."""
    assay = made_assay(specimen)
    w = assay.mass_fraction.copy()
    w[0] = 0.012 + 1e-4 * moved
    return entry("result", specimen, assay_data(replace(assay, mass_fraction=w)))


def recorded_pair(ledger: Ledger, sample: str, difference: float) -> list[int]:
    """Numbers of two results of one sample that differ by so many 0.01 % of lanthanum, each recorded by itself."""
    return [ledger.append([made_result(sample, moved)], actor="tester")[0].seq for moved in (0.0, difference)]


@pytest.fixture
def make_assay() -> Callable[..., Assay]:
    return made_assay
