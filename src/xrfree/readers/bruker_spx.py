"""Bruker .spx and ARTAX .rtx: XML of nested `ClassInstance` elements.

A spectrum is a `ClassInstance` of the type TRTSpectrum that holds a hardware header with its times. The spectra
nested inside another one (fitted background) are results of the maker and are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._elements import symbol
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, number, shown
from xrfree.readers._xml import parse_xml
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_SPECTRUM, _HARDWARE, _HEADER = "TRTSpectrum", "TRTSpectrumHardwareHeader", "TRTSpectrumHeader"
_XRF, _ELECTRONS, _GENERATOR = "TRTXrfHeader", "TRTESMAHeader", "TRTGeneratorHeader"


def recognises(head: bytes) -> bool:
    """Whether this is XML with the class names of the maker."""
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith((b"<?xml", b"<TRT")) and (b"<TRTSpectrum" in start or b"<TRTProject" in start)


def read_many(file: SpectrumBytes, profile: ReaderProfile | None = None) -> tuple[Measurement, ...]:
    """One measurement per spectrum of a project; an .spx holds one."""
    root = parse_xml(file.path, file.content)
    statements = [_statement(file.path, node) for node in _spectra(root)]
    if not statements:
        raise SpectrumFileError(
            file.path, found="there is no ClassInstance of the type TRTSpectrum with counts", remedy=EXPORT_AGAIN
        )
    return tuple(assemble(file, [statement], profile) for statement in statements)


def _spectra(node: Element) -> Iterator[Element]:
    """Spectra that are not nested in another one."""
    for child in node:
        if child.get("Type") == _SPECTRUM and child.find("Channels") is not None:
            yield child
        else:
            yield from _spectra(child)


def _statement(path: Path, node: Element) -> Statement:
    headers = {kind: _header(node, kind) for kind in (_HARDWARE, _HEADER, _XRF, _ELECTRONS, _GENERATOR)}
    hardware, header, tube = headers[_HARDWARE], headers[_HEADER], headers[_XRF] or headers[_GENERATOR]
    counts = _counts(path, node)
    stated = _number(path, header, "ChannelCount")
    if stated is not None:
        refuse_length(path, place=stated.place, found=counts.size, stated=int(stated.value), key="ChannelCount")
    return Statement(
        counts=counts,
        place_of=lambda channel: f"value {channel} of Channels",
        live_time_s=_seconds(_number(path, hardware, "LifeTime")),
        real_time_s=_seconds(_number(path, hardware, "RealTime")),
        scale=_scale(_number(path, header, "CalibAbs"), _number(path, header, "CalibLin")),
        no_scale="CalibAbs and CalibLin are missing, or CalibLin is 0",
        specimen=node.get("Name"),
        condition=_electron_condition(path, headers[_ELECTRONS]),
        anode=_anode(path, tube),
        tube_voltage_kv=_number(path, tube, "Voltage") or _number(path, tube, "HighVoltage"),
        tube_current_ua=_number(path, headers[_XRF], "Current"),
        filter=tube.get("ExcitationFilter/FilterId"),
        atmosphere=tube.get("Atmosphere"),
        metadata=_metadata(node),
    )


def _header(node: Element, kind: str) -> dict[str, str]:
    """Values of a header by their path inside it; empty where the spectrum has no such header."""
    header = next(node.iterfind(f".//ClassInstance[@Type='{kind}']"), None)
    if header is None:
        return {}
    return {f"{parent}{child.tag}": value for parent, child, value in _values(header, "")}


def _values(node: Element, parent: str) -> Iterator[tuple[str, Element, str]]:
    for child in node:
        if child.tag not in {"ClassInstance", "TRTKnownHeader", "Channels", "ChildClassInstances"}:
            attributes = " ".join(f"{key}={value}" for key, value in child.attrib.items())
            text = " ".join(filter(None, ((child.text or "").strip(), attributes)))
            if text:
                yield parent, child, text
            yield from _values(child, f"{parent}{child.tag}/")


def _number(path: Path, header: dict[str, str], key: str) -> Stated | None:
    text = header.get(key)
    if text is None:
        return None
    value = number(text)
    if value is None:
        raise SpectrumFileError(
            path, place=key, found=f"{key} is {shown(text)}, expected a number", remedy=EXPORT_AGAIN
        )
    return Stated(value, key, key)


def _seconds(milliseconds: Stated | None) -> Stated | None:
    return None if milliseconds is None else Stated(milliseconds.value / 1000.0, milliseconds.key, milliseconds.place)


def _scale(zero: Stated | None, gain: Stated | None) -> StatedScale | None:
    if zero is None or gain is None or gain.value == 0:
        return None
    return StatedScale(zero_kev=zero.value, gain_kev=gain.value, place=gain.place)


def _anode(path: Path, tube: dict[str, str]) -> str | None:
    z = _number(path, tube, "Anode")
    return None if z is None else symbol(int(z.value))


def _electron_condition(path: Path, electrons: dict[str, str]) -> str | None:
    """A name that keeps electron excitation apart from X-ray tubes."""
    energy = _number(path, electrons, "PrimaryEnergy")
    return None if energy is None else f"electrons {energy.value:g} keV"


def _counts(path: Path, node: Element) -> NDArray[np.float64]:
    text = (node.findtext("Channels") or "").strip().rstrip(",")
    return NumberBlock(path=path, text=text, first_line=1).flat(commas=True)


def _metadata(node: Element) -> dict[str, str]:
    """All values of the headers, by class."""
    items = []
    for holder in node.iterfind("TRTHeaderedClass"):
        items += [HeaderItem(f"{p}{c.tag}", value, 0) for p, c, value in _values(holder, "")]
        for header in holder.iter("ClassInstance"):
            kind = header.get("Type", "")
            items += [HeaderItem(f"{kind}/{p}{c.tag}", value, 0) for p, c, value in _values(header, "")]
    for header in node.iterfind("ClassInstance"):
        if header.get("Type") == _HEADER:
            items += [HeaderItem(f"{_HEADER}/{p}{c.tag}", value, 0) for p, c, value in _values(header, "")]
    return metadata_of(items)


FORMAT = SpectrumFormat(name="Bruker SPX", suffixes=(".spx", ".rtx"), recognises=recognises, read_many=read_many)
