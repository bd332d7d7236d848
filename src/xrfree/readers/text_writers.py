"""Spectra as EMSA/MAS and CSV text that other programs read, and that come back here without loss.

What the formats have no key for (condition, every key of the original file) stands in lines of JSON under keys of
our own, which other programs skip.
"""

from __future__ import annotations

import json
from pathlib import Path

from xrfree.errors import DomainError, SpectrumFileError
from xrfree.spectrum import Measurement, Spectrum

_PER_LINE = 8


def write_emsa(path: Path | str, measurement: Measurement, condition: str) -> None:
    """Write one spectrum of a measurement as EMSA/MAS (ISO 22029), counts exact.

    DomainError for a curved energy scale, which the format cannot state.
    """
    spectrum = measurement.spectra[condition]
    scale = spectrum.energy_scale
    if scale.quadratic_kev:
        raise DomainError(
            f"{measurement.specimen}, {condition}: EMSA states no quadratic energy scale; write HDF5 or CSV instead"
        )
    header = [
        ("FORMAT", "EMSA/MAS Spectral Data File"),
        ("VERSION", "1.0"),
        ("TITLE", " ".join(_ascii(measurement.specimen).split())[:64]),
        ("NPOINTS", f"{spectrum.n_channels}."),
        ("NCOLUMNS", f"{_PER_LINE}."),
        ("XUNITS", "keV"),
        ("YUNITS", "counts"),
        ("DATATYPE", "Y"),
        ("XPERCHAN", repr(scale.gain_kev)),
        ("OFFSET", repr(scale.zero_kev)),
        ("SIGNALTYPE", "EDS"),
        ("LIVETIME  -s", repr(spectrum.live_time_s)),
        ("REALTIME  -s", repr(spectrum.real_time_s)),
    ]
    if spectrum.condition.tube_voltage_kv is not None:
        header.append(("BEAMKV   -kV", repr(spectrum.condition.tube_voltage_kv)))
    lines = [f"#{key:<12}: {value}" for key, value in header]
    lines += [f"##{key} : {value}" for key, value in _own_lines(measurement, spectrum)]
    numbers = [f"{count}," for count in spectrum.counts.tolist()]
    rows = [" ".join(numbers[i : i + _PER_LINE]) for i in range(0, len(numbers), _PER_LINE)]
    _write(Path(path), [*lines, "#SPECTRUM    : Spectral Data Starts Here", *rows, "#ENDOFDATA   : "])


def write_csv(path: Path | str, measurement: Measurement, condition: str) -> None:
    """Write one spectrum of a measurement as CSV: `# key: value` lines, then channel,counts."""
    spectrum = measurement.spectra[condition]
    scale = spectrum.energy_scale
    header = [
        ("live_time_s", repr(spectrum.live_time_s)),
        ("real_time_s", repr(spectrum.real_time_s)),
        ("energy_zero_kev", repr(scale.zero_kev)),
        ("energy_gain_kev", repr(scale.gain_kev)),
        ("energy_quadratic_kev", repr(scale.quadratic_kev)),
        ("channels", str(spectrum.n_channels)),
        ("total_counts", str(spectrum.total_counts)),
        *_own_lines(measurement, spectrum),
    ]
    lines = [f"# {key}: {value}" for key, value in header]
    rows = [f"{channel},{count}" for channel, count in enumerate(spectrum.counts.tolist())]
    _write(Path(path), [*lines, "channel,counts", *rows])


def _own_lines(measurement: Measurement, spectrum: Spectrum) -> list[tuple[str, str]]:
    """What the formats have no key for, as ASCII JSON in one line each."""
    condition = spectrum.condition
    said = {
        "specimen": measurement.specimen,
        "condition": condition.name,
        "anode": condition.anode,
        "tube_voltage_kv": condition.tube_voltage_kv,
        "tube_current_ua": condition.tube_current_ua,
        "filter": condition.filter,
        "atmosphere": condition.atmosphere,
    }
    sources = [[source.path, source.sha256] for source in measurement.sources]
    return [
        ("XRFREE.CONDITION", json.dumps({key: value for key, value in said.items() if value is not None})),
        ("XRFREE.SOURCES", json.dumps(sources)),
        *(("XRFREE.METADATA", json.dumps([key, value])) for key, value in spectrum.metadata.items()),
    ]


def _ascii(text: str) -> str:
    return text.encode("ascii", errors="replace").decode("ascii")


def _write(path: Path, lines: list[str]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
        partial.replace(path)
    except OSError as error:
        raise SpectrumFileError(
            path, found=f"cannot be written ({error.strerror or error})", remedy="Check the folder and its free space"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
