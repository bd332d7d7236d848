"""`xrfree inspect`: what a file holds."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from xrfree.batch.inputs import read_file, refusal
from xrfree.cli import OK, REFUSED, console
from xrfree.errors import SpectrumFileError
from xrfree.intensities import LineIntensities
from xrfree.plausibility import plausibility_notes
from xrfree.readers import format_name, load_profile, read_intensities, read_results
from xrfree.report.terminal import draw_spectrum, measurement_table, printable
from xrfree.reported import ReportedResults
from xrfree.spectrum import Measurement

MOST_SHOWN = 3
MOST_METADATA = 40
MOST_COLUMNS = 120


def run(file: Path, *, png: Path | None = None, profile: Path | None = None) -> int:
    """Show and draw the measurements of a file."""
    stated = None if profile is None else load_profile(profile)
    try:
        console.say(f"Format: {printable(format_name(file))}")
        if _show_table(file):
            return OK
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


def _show_table(file: Path) -> bool:
    """Show a table of results or of line intensities; False for any other file."""
    sets: tuple[ReportedResults | LineIntensities, ...] = ()
    for read in (read_results, read_intensities):
        with suppress(SpectrumFileError):
            sets = sets or read(file)
    for each in sets[:MOST_SHOWN]:
        console.say()
        console.say(printable(each.specimen))
        for line in _told(each)[:MOST_METADATA]:
            console.say(f"  {printable(line)}")
        _show_metadata(each.metadata.items())
    if len(sets) > MOST_SHOWN:
        console.say(f"... and {len(sets) - MOST_SHOWN} more in this file")
    return bool(sets)


def _told(each: ReportedResults | LineIntensities) -> list[str]:
    """One line per value, as the file writes it or in counts per second."""
    if isinstance(each, LineIntensities):
        return [f"{line.line}: {line.rate_per_s:.6g} counts/s ({line.kind})" for line in each.lines.values()]
    return [
        f"{value.component}: {value.text}" + (" (not detected)" if value.is_censored else "")
        for value in each.values.values()
    ]


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
    from xrfree.report.plots import spectra_figure, write_png

    write_png(png, spectra_figure(measurement.spectra.values(), title=measurement.specimen))
