"""XML without surprises: no document types, no entities, bounded depth and number of elements."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from xrfree.errors import SpectrumFileError
from xrfree.readers._text import EXPORT_AGAIN

_DEEPEST = 64
_MOST_ELEMENTS = 200_000


def parse_xml(path: Path, content: bytes) -> Element:
    """Root of an XML file; SpectrumFileError if it is not well-formed, declares entities, or is too deep or large."""
    reading = _Reading(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reading.refuse_declaration
    parser.EntityDeclHandler = reading.refuse_declaration
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.builder.data
    try:
        parser.Parse(content, True)
        root = reading.builder.close()
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise SpectrumFileError(
            path,
            place=f"line {parser.CurrentLineNumber}",
            found=f"not well-formed XML ({' '.join(str(error).split())})",
            remedy=f"The file is damaged or cut off: copy it again, or {EXPORT_AGAIN.lower()}",
        ) from error
    return root


class _Reading:
    """State of one parse: how deep it is, and how many elements it has seen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.builder = TreeBuilder()
        self.depth = 0
        self.n_elements = 0

    def refuse_declaration(self, *_: object) -> None:
        raise SpectrumFileError(
            self.path,
            found="the XML declares a document type or entities, which no spectrometer writes",
            remedy="Do not trust this file: export the spectrum again from the instrument software",
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.n_elements += 1
        if self.depth > _DEEPEST or self.n_elements > _MOST_ELEMENTS:
            raise SpectrumFileError(
                self.path,
                found=f"the XML is more than {_DEEPEST} levels deep, or has more than {_MOST_ELEMENTS} elements",
                remedy=EXPORT_AGAIN,
            )
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(tag)
