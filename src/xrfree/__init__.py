"""X-ray fluorescence spectra of iron ore in, defensible mass fractions of La, Ce, Pr, Nd, Sm and Nb out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xrfree import plot
    from xrfree.areas import NetAreas
    from xrfree.assay import Assay
    from xrfree.calibration import Calibration
    from xrfree.calibration_fit import calibrate
    from xrfree.composition import Composition
    from xrfree.documents.calibration import load_calibration
    from xrfree.documents.certificates import load_certificates
    from xrfree.documents.instrument import load_instrument
    from xrfree.documents.method import load_method
    from xrfree.fit import fit_spectrum
    from xrfree.intensities import LineIntensities
    from xrfree.planning import plan
    from xrfree.quantification import quantify
    from xrfree.readers import read_intensities, read_measurement, read_measurements, read_results
    from xrfree.reference import ReferenceMaterial
    from xrfree.reported import ReportedResults
    from xrfree.simulation import simulate
    from xrfree.spectrum import Measurement, Spectrum

_HOMES = {
    "Assay": "xrfree.assay",
    "Calibration": "xrfree.calibration",
    "Composition": "xrfree.composition",
    "LineIntensities": "xrfree.intensities",
    "Measurement": "xrfree.spectrum",
    "NetAreas": "xrfree.areas",
    "ReferenceMaterial": "xrfree.reference",
    "ReportedResults": "xrfree.reported",
    "Spectrum": "xrfree.spectrum",
    "calibrate": "xrfree.calibration_fit",
    "fit_spectrum": "xrfree.fit",
    "load_calibration": "xrfree.documents.calibration",
    "load_certificates": "xrfree.documents.certificates",
    "load_instrument": "xrfree.documents.instrument",
    "load_method": "xrfree.documents.method",
    "plan": "xrfree.planning",
    "quantify": "xrfree.quantification",
    "read_intensities": "xrfree.readers",
    "read_measurement": "xrfree.readers",
    "read_measurements": "xrfree.readers",
    "read_results": "xrfree.readers",
    "simulate": "xrfree.simulation",
}

__all__ = [
    "Assay",
    "Calibration",
    "Composition",
    "LineIntensities",
    "Measurement",
    "NetAreas",
    "ReferenceMaterial",
    "ReportedResults",
    "Spectrum",
    "calibrate",
    "fit_spectrum",
    "load_calibration",
    "load_certificates",
    "load_instrument",
    "load_method",
    "plan",
    "plot",
    "quantify",
    "read_intensities",
    "read_measurement",
    "read_measurements",
    "read_results",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Load public names when they are first used, so that the command line starts at once."""
    if name == "__version__":
        from importlib.metadata import version  # 40 ms that only --version and results need

        return version("xrfree")
    if name == "plot":
        return import_module("xrfree.plot")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'xrfree' has no attribute '{name}'")
