"""When two assays are the same: same spectra, same specimen, same documents, same software."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import lru_cache

from xrfree import __version__
from xrfree.atomic import TABLES
from xrfree.calibration import Calibration
from xrfree.instrument import Instrument
from xrfree.ledger.records import canonical_text
from xrfree.method import Method
from xrfree.specimen import Specimen
from xrfree.spectrum import ExcitationCondition, Measurement, Spectrum


def procedure_identity(method: Method, instrument: Instrument, calibration: Calibration | None) -> str:
    """Digest (hex) of everything but the measurement and its specimen: documents, atomic tables, version.

    A result by a draft says so for good: approval of the calibration makes it another procedure.
    """
    parts = {
        "method": method.sha256,
        "instrument": instrument.sha256,
        "calibration": calibration.sha256 if calibration else "",
        "calibration_status": str(calibration.status) if calibration else "",
        "tables": TABLES,
        "software": __version__,
    }
    return hashlib.sha256(canonical_text(parts).encode()).hexdigest()


def assay_identity(measurement: Measurement, specimen: Specimen | None, procedure: str) -> str:
    """Digest (hex) of a measurement and what is done with it: its name, counts, times, conditions, source files."""
    sha = hashlib.sha256(procedure.encode())
    head = {
        "specimen": measurement.specimen,
        "sources": [source.sha256 for source in measurement.sources],
        "prepared": None if specimen is None else _prepared(specimen),
        "spectra": {name: _facts(spectrum) for name, spectrum in measurement.spectra.items()},
    }
    sha.update(canonical_text(head).encode())
    for name in sorted(measurement.spectra):
        sha.update(measurement.spectra[name].counts.data)
    return sha.hexdigest()


def _facts(spectrum: Spectrum) -> dict[str, object]:
    scale = spectrum.energy_scale
    return {
        "channels": spectrum.n_channels,
        "live_time_s": spectrum.live_time_s,
        "real_time_s": spectrum.real_time_s,
        "scale": [scale.zero_kev, scale.gain_kev, scale.quadratic_kev],
        "condition": _condition(spectrum.condition),
    }


@lru_cache(maxsize=256)
def _prepared(specimen: Specimen) -> dict[str, object]:
    """Facts of a specimen; most of those of a batch are prepared in one way."""
    return asdict(specimen)


@lru_cache(maxsize=256)
def _condition(condition: ExcitationCondition) -> dict[str, object]:
    """Facts of a condition; thousands of spectra share a few."""
    return asdict(condition)
