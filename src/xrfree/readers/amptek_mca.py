"""Amptek .mca: sections `<<NAME>>` with `KEY - value` lines, calibration points, and one count per line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of, single, stated_number
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, first_line, number, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_SECTION = re.compile(r"<<(.+)>>")
_START = "<<PMCA SPECTRUM>>"
_CLOSED_SECTIONS = ("DP5 CONFIGURATION", "DPP STATUS")
_CHANNELS = re.compile(r"MCAC=([0-9]+)")
_PERCENT = re.compile(r"([0-9.]+) ?%")
# The axis of an X-ray spectrometer ends below the first number in keV, and above the second in eV.
_HIGHEST_IN_KEV = 250.0
_LOWEST_IN_EV = 2500.0
# Calibration points are marked by hand, on the tops of peaks.
_POINT_TOLERANCE_CHANNELS = 5.0
_NOTICEABLE_DEAD_TIME = 0.005


@dataclass(frozen=True, slots=True)
class _Section:
    """Name and lines of a section; `line` is the number of its first line after the name."""

    name: str
    lines: tuple[str, ...]
    line: int


def recognises(head: bytes) -> bool:
    """Whether the first line opens a PMCA spectrum."""
    return first_line(head) == _START


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an .mca file."""
    path = file.path
    sections = _sections(decode(path, file.content))
    items = [item for section in sections if section.name != "DATA" for item in _items(section)]
    block, counts = _counts(path, sections)
    _refuse_other_length(path, sections, counts.size)

    def value(key: str) -> HeaderItem | None:
        return single(path, [item for item in _items(sections[0]) if item.key == key])

    live = stated_number(path, value("LIVE_TIME"), expected="seconds > 0")
    real = stated_number(path, value("REAL_TIME"), expected="seconds > 0")
    _refuse_dead_time(path, live, real, items)
    scale, no_scale = _scale(path, sections, counts.size)
    description = value("DESCRIPTION")
    statement = Statement(
        counts=counts,
        place_of=lambda channel: f"line {block.line_of_row(channel)}",
        live_time_s=live,
        real_time_s=real,
        scale=scale,
        no_scale=no_scale,
        specimen=description.value if description is not None else None,
        metadata=metadata_of(items),
    )
    return assemble(file, [statement], profile)


def _sections(text: str) -> list[_Section]:
    """Sections in the order of the file; what stands before the first one has no name."""
    sections = []
    name, start, lines = "", 1, list[str]()
    for line_number, line in enumerate(text.split("\n"), 1):
        match = _SECTION.fullmatch(line.strip()) if "<<" in line else None
        if match is None:
            lines.append(line)
            continue
        sections.append(_Section(name, tuple(lines), start))
        name, start, lines = match[1], line_number + 1, []
    sections.append(_Section(name, tuple(lines), start))
    return [section for section in sections if section.name]


def _items(section: _Section) -> list[HeaderItem]:
    """Lines of a section as keys and values; a line without a key is kept under the name of the section."""
    items = []
    for line_number, line in enumerate(section.lines, section.line):
        text = line.strip()
        match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_ ]*?)(?: - ?|=|: ?)(.*)", text) or re.fullmatch(
            r"([A-Z_]+) -(.*)", text
        )
        if match is not None:
            items.append(HeaderItem(match[1], match[2].strip(), line_number))
        elif text:
            items.append(HeaderItem(section.name, text, line_number))
    return items


def _only(path: Path, sections: list[_Section], name: str) -> _Section | None:
    found = [section for section in sections if section.name == name]
    if len(found) > 1:
        raise SpectrumFileError(
            path,
            place=f"line {found[1].line}",
            found=f"a second <<{name}>> section",
            remedy=f"{EXPORT_AGAIN}, one spectrum per file",
        )
    return found[0] if found else None


def _counts(path: Path, sections: list[_Section]) -> tuple[NumberBlock, NDArray[np.float64]]:
    data = _only(path, sections, "DATA")
    if data is None or _only(path, sections, "END") is None:
        raise SpectrumFileError(
            path,
            place="" if data is None else f"line {data.line}",
            found="there is no <<DATA>> section" if data is None else "<<DATA>> is not closed by <<END>>",
            remedy=f"The file is cut off: copy it again, or {EXPORT_AGAIN.lower()}",
        )
    _refuse_open_section(path, sections)
    block = NumberBlock(path=path, text="\n".join(data.lines), first_line=data.line)
    return block, block.table(None, (0,), 1)[:, 0]


def _refuse_open_section(path: Path, sections: list[_Section]) -> None:
    """Sections behind the data are closed by a line of their own, so a file that is cut off there shows."""
    names = {section.name for section in sections}
    for section in sections:
        if section.name in _CLOSED_SECTIONS and f"{section.name} END" not in names:
            raise SpectrumFileError(
                path,
                place=f"line {section.line}",
                found=f"<<{section.name}>> is not closed",
                remedy=f"The file is cut off: copy it again, or {EXPORT_AGAIN.lower()}",
            )


def _refuse_other_length(path: Path, sections: list[_Section], n_channels: int) -> None:
    """The configuration of the pulse processor says how many channels it records."""
    for section in sections:
        for line_number, line in enumerate(section.lines, section.line):
            match = _CHANNELS.match(line.strip()) if section.name == "DP5 CONFIGURATION" else None
            if match is not None:
                refuse_length(path, place=f"line {line_number}", found=n_channels, stated=int(match[1][:9]), key="MCAC")


def _refuse_dead_time(path: Path, live: Stated | None, real: Stated | None, items: list[HeaderItem]) -> None:
    """Some firmwares write the real time as live time; the status then still knows the dead time."""
    status = next((item for item in items if item.key == "Dead Time"), None)
    percent = _PERCENT.match(status.value) if status is not None else None
    dead = number(percent[1]) if percent is not None else None
    if status is None or dead is None or live is None or real is None or live.value != real.value:
        return
    if dead / 100.0 > _NOTICEABLE_DEAD_TIME:
        raise SpectrumFileError(
            path,
            place=live.place,
            found=f"LIVE_TIME equals REAL_TIME, but the status says {dead:g} % dead time ({status.place})",
            remedy='Give the live time in a profile: live_time_s = ... and replaces = ["live_time_s"]',
        )


def _scale(path: Path, sections: list[_Section], n_channels: int) -> tuple[StatedScale | None, str]:
    """Straight line through the calibration points, or the reason why there is none."""
    section = _only(path, sections, "CALIBRATION")
    if section is None:
        return None, "no energy scale is stated (no <<CALIBRATION>> section)"
    label, points = _points(path, section)
    if len(points) < 2 or len(set(points[:, 0])) < 2:
        return None, f"<<CALIBRATION>> holds {len(points)} points, and a scale needs two"
    zero, gain = _line(path, section, points)
    unit_kev = _unit_kev(path, section, label, zero + gain * n_channels)
    return StatedScale(zero_kev=zero * unit_kev, gain_kev=gain * unit_kev, place=f"line {section.line}"), ""


def _points(path: Path, section: _Section) -> tuple[str, NDArray[np.float64]]:
    """Label and calibration points (channel, energy), shape (n, 2)."""
    label, points = "", list[tuple[float, float]]()
    for line_number, line in enumerate(section.lines, section.line):
        if line.startswith("LABEL"):
            label = line.partition("-")[2].strip()
        elif line.strip():
            pair = [number(token) for token in line.split()]
            if len(pair) != 2 or pair[0] is None or pair[1] is None:
                raise SpectrumFileError(
                    path,
                    place=f"line {line_number}",
                    found=f"{shown(line)} is not a channel and its energy",
                    remedy=f"{EXPORT_AGAIN}, or repair the line",
                )
            points.append((pair[0], pair[1]))
    return label, np.array(points, dtype=np.float64).reshape(-1, 2)


def _line(path: Path, section: _Section, points: NDArray[np.float64]) -> tuple[float, float]:
    """Least-squares line through the points, (energy of channel 0, energy per channel)."""
    channel, energy = points.T
    with np.errstate(all="ignore"):
        centred = channel - channel.mean()
        gain = float(centred @ energy / (centred @ centred))
        zero = float(energy.mean() - gain * channel.mean())
        apart = np.abs(energy - (zero + gain * channel)) / abs(gain) if gain else np.array([np.inf])
    if not (gain > 0 and apart.max() <= _POINT_TOLERANCE_CHANNELS):
        raise UncalibratedError(
            path,
            place=f"line {section.line}",
            found=f"the calibration points do not lie on a rising straight line (gain {gain:g} per channel)",
            remedy="Calibrate the spectrum again; each point is a channel and the energy of the peak there",
        )
    return zero, gain


def _unit_kev(path: Path, section: _Section, label: str, top: float) -> float:
    """1 keV or 1 eV: as the label says, else as the end of the axis tells."""
    words = set(re.findall(r"[a-z]+", label.lower()))
    if words & {"kev", "ev"}:
        return 1.0 if "kev" in words else 1e-3
    if top <= _HIGHEST_IN_KEV:
        return 1.0
    if top >= _LOWEST_IN_EV:
        return 1e-3
    raise UncalibratedError(
        path,
        place=f"line {section.line}",
        found=f"the unit of the calibration points is not stated, and an axis up to {top:g} may be in eV or in keV",
        remedy="Set the label of the calibration to keV or eV and save the spectrum again",
    )


FORMAT = SpectrumFormat(name="Amptek MCA", suffixes=(".mca",), recognises=recognises, read=read)
