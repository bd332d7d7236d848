"""`xrfree inspect`: what a file holds."""

from __future__ import annotations

import sys
from pathlib import Path

from xrfree.batch.inputs import read_file, refusal
from xrfree.cli import OK, REFUSED, console
from xrfree.errors import SpectrumFileError
from xrfree.plausibility import plausibility_notes
from xrfree.readers import load_profile
from xrfree.report.terminal import draw_spectrum, measurement_table, printable
from xrfree.spectrum import Measurement

MOST_SHOWN = 3
MOST_METADATA = 40
MOST_COLUMNS = 120


def run(file: Path, *, png: Path | None = None, profile: Path | None = None) -> int:
    """Show and draw the measurements of a file."""
    stated = None if profile is None else load_profile(profile)
    try:
        measurements = read_file(file, stated)
    except SpectrumFileError as error:
        console.note_refusals([refusal(file, "", error)])
        return REFUSED
    for measurement in measurements[:MOST_SHOWN]:
        _show(measurement)
    if len(measurements) > MOST_SHOWN:
        console.say(f"... and {len(measurements) - MOST_SHOWN} more measurements in this file")
    if png is not None:
        _draw(measurements[0], png)
        console.say(f"Picture: {png.resolve()}")
    return OK


def _show(measurement: Measurement) -> None:
    console.show(measurement_table(measurement))
    terminal = console.results()
    for name, spectrum in measurement.spectra.items():
        console.say()
        if len(measurement.spectra) > 1:
            console.say(printable(name))
        braille = "utf" in (sys.stdout.encoding or "").lower()
        console.say(draw_spectrum(spectrum, width=min(terminal.width, MOST_COLUMNS), braille=braille))
        for note in plausibility_notes(spectrum):
            console.say(f"  note: {printable(note)}")
        _show_metadata(spectrum.metadata.items())
    for source in measurement.sources:
        console.say(f"sha256 {source.sha256}  {printable(source.path)}")


def _show_metadata(items: object) -> None:
    entries = [(printable(key), printable(" ".join(value.split()))) for key, value in items]  # type: ignore[attr-defined]
    for key, value in entries[:MOST_METADATA]:
        console.say(f"  {key}: {value if len(value) <= 200 else value[:197] + '...'}")
    if len(entries) > MOST_METADATA:
        console.say(f"  ... and {len(entries) - MOST_METADATA} more entries")


def _draw(measurement: Measurement, png: Path) -> None:
    from xrfree.report.plots import spectrum_figure, write_png

    write_png(png, spectrum_figure(measurement.spectra.values(), title=measurement.specimen))
