"""Nouns as tables of pandas, polars and xarray, none of which xrfree depends on.

Columns have the names of the noun's own fields and its units: keV, counts, kg/kg. All digits are kept.
"""

from __future__ import annotations

from functools import singledispatch
from importlib import import_module
from typing import Any

import numpy as np

from xrfree.areas import NetAreas
from xrfree.assay import Assay
from xrfree.calibration import Calibration
from xrfree.composition import Composition
from xrfree.errors import XrfreeError
from xrfree.fit import RegionFit
from xrfree.intensities import LineIntensities
from xrfree.reference import ReferenceMaterial
from xrfree.reported import ReportedResults
from xrfree.spectrum import Measurement, Spectrum

Columns = dict[str, Any]
Variables = dict[str, tuple[tuple[str, ...], Any]]


def to_pandas(noun: object) -> Any:
    """The columns of a noun as a pandas.DataFrame."""
    return _library("pandas").DataFrame(columns(noun))


def to_polars(noun: object) -> Any:
    """The columns of a noun as a polars.DataFrame."""
    return _library("polars").DataFrame(columns(noun))


def to_xarray(noun: object) -> Any:
    """A noun as an xarray.Dataset: its first column is the axis, unless the noun has more than one."""
    variables, coordinates = arrays(noun)
    return _library("xarray").Dataset(variables, coords=coordinates)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as problem:
        raise XrfreeError(f'{name} is not installed. Install it: pip install {name}, or "xrfree[tables]"') from problem


@singledispatch
def columns(noun: object) -> Columns:
    """Columns of a noun, all of one length."""
    raise XrfreeError(f"a {type(noun).__name__} has no table; tables are made of spectra, areas, results and the like")


@columns.register
def _spectrum(noun: Spectrum) -> Columns:
    return {"energy_kev": noun.centres_kev, "counts": noun.counts}


@columns.register
def _measurement(noun: Measurement) -> Columns:
    parts = list(noun.spectra.items())
    return {
        "condition": [name for name, spectrum in parts for _ in range(spectrum.n_channels)],
        "energy_kev": np.concatenate([spectrum.centres_kev for _, spectrum in parts]),
        "counts": np.concatenate([spectrum.counts for _, spectrum in parts]),
    }


@columns.register
def _net_areas(noun: NetAreas) -> Columns:
    return {"group": noun.groups, "area": noun.area, "standard_uncertainty": noun.standard_uncertainty}


@columns.register
def _region_fit(noun: RegionFit) -> Columns:
    return columns(noun.areas)


@columns.register
def _assay(noun: Assay) -> Columns:
    return {
        "component": noun.components,
        "mass_fraction": noun.mass_fraction,
        "standard_uncertainty": noun.standard_uncertainty,
        "expanded_uncertainty": noun.expanded_uncertainty,
        "decision_limit": noun.decision_limit,
        "detection_limit": noun.detection_limit,
        "quantification_limit": noun.quantification_limit,
        "verdict": [str(verdict) for verdict in noun.verdicts],
        "reason": noun.reasons,
    }


@columns.register
def _composition(noun: Composition) -> Columns:
    return {"element": noun.elements, "mass_fraction": noun.mass_fraction}


@columns.register
def _material(noun: ReferenceMaterial) -> Columns:
    values = noun.values
    return {
        "component": [value.component for value in values],
        "mass_fraction": [value.mass_fraction for value in values],
        "standard_uncertainty": [value.standard_uncertainty for value in values],
        "kind": [str(value.kind) for value in values],
        "assigned_by": [str(value.assigned_by) for value in values],
        "basis": [str(value.basis) for value in values],
    }


@columns.register
def _calibration(noun: Calibration) -> Columns:
    """Sensitivities and blanks of fitted line groups, then coefficients of curves, one parameter per row."""
    rows: list[tuple[str, str, float, float]] = []
    for i, group in enumerate(noun.groups):
        rows.append((group, "log_sensitivity", noun.log_sensitivity[i], float(np.sqrt(noun.covariance[i, i]))))
        rows.append((group, "blank", noun.blank[i], noun.blank_uncertainty[i]))
    for curve in noun.curves:
        sigma = np.sqrt(np.diag(curve.covariance))
        for term, value, u in zip(curve.model.terms, curve.coefficients, sigma, strict=True):
            rows.append((f"{curve.model.analyte} by {curve.model.line}", term, value, u))
    names = ("group", "parameter", "value", "standard_uncertainty")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in names}


@columns.register
def _intensities(noun: LineIntensities) -> Columns:
    lines = list(noun.lines.values())
    return {
        "line": [line.line for line in lines],
        "element": [line.element for line in lines],
        "kind": [str(line.kind) for line in lines],
        "rate_per_s": [line.rate_per_s for line in lines],
        "counting_time_s": [line.counting_time_s for line in lines],
    }


@columns.register
def _reported(noun: ReportedResults) -> Columns:
    values = list(noun.values.values())
    return {
        "component": [value.component for value in values],
        "mass_fraction": [value.mass_fraction for value in values],
        "standard_uncertainty": [value.standard_uncertainty for value in values],
        "detection_limit": [value.detection_limit for value in values],
        "text": [value.text for value in values],
    }


@singledispatch
def arrays(noun: object) -> tuple[Variables, Columns]:
    """Arrays of a noun with the names of their axes, and the coordinates along these."""
    table = columns(noun)
    axis = next(iter(table))
    variables: Variables = {name: ((axis,), np.asarray(values)) for name, values in table.items() if name != axis}
    return variables, {axis: np.asarray(table[axis])}


@arrays.register
def _measurement_arrays(noun: Measurement) -> tuple[Variables, Columns]:
    variables: Variables = {}
    coordinates: Columns = {}
    for name, spectrum in noun.spectra.items():
        variables[f"counts_{name}"] = ((f"energy_kev_{name}",), spectrum.counts)
        coordinates[f"energy_kev_{name}"] = spectrum.centres_kev
    return variables, coordinates


@arrays.register
def _areas_arrays(noun: NetAreas) -> tuple[Variables, Columns]:
    curve = noun.curve
    variables: Variables = {
        "area": (("group",), noun.area),
        "covariance": (("group", "other_group"), noun.covariance),
        "counting_covariance": (("group", "other_group"), noun.counting_covariance),
        "response_covariance": (("group", "other_group"), noun.response_covariance),
        "counts": (("energy_kev",), curve.counts),
        "expected": (("energy_kev",), curve.expected),
        "background": (("energy_kev",), curve.background),
    }
    groups = list(noun.groups)
    return variables, {"group": groups, "other_group": groups, "energy_kev": curve.energy_kev}


@arrays.register
def _fit_arrays(noun: RegionFit) -> tuple[Variables, Columns]:
    variables, coordinates = arrays(noun.areas)
    variables["lines"] = (("group", "channel_energy_kev"), noun.lines)
    return variables, {**coordinates, "channel_energy_kev": noun.model.spectrum.centres_kev}


@arrays.register
def _assay_arrays(noun: Assay) -> tuple[Variables, Columns]:
    variables: Variables = {
        name: (("component",), np.asarray(values)) for name, values in columns(noun).items() if name != "component"
    }
    variables["covariance"] = (("component", "other_component"), noun.covariance)
    variables["budget"] = (("contribution", "component"), np.array(list(noun.budget.values())))
    names = list(noun.components)
    return variables, {"component": names, "other_component": names, "contribution": list(noun.budget)}


@arrays.register
def _calibration_arrays(noun: Calibration) -> tuple[Variables, Columns]:
    names = ("log_sensitivity", "blank", "blank_uncertainty", "relative_scatter", "absolute_scatter")
    variables: Variables = {name: (("group",), getattr(noun, name)) for name in names}
    variables["covariance"] = (("group", "other_group"), noun.covariance)
    return variables, {"group": list(noun.groups), "other_group": list(noun.groups)}
