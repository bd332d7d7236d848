"""Results and spectra on a terminal: rich tables, and a drawing made of characters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xrfree.assay import Assay, Verdict
from xrfree.calibration import Calibration
from xrfree.report.rounding import DisplayUnit, display_unit, rounded, rounded_alone
from xrfree.spectrum import Measurement, Spectrum

FloatArray = NDArray[np.float64]

VERDICT_STYLES = {Verdict.DETECTED: "", Verdict.NOT_DETECTED: "dim", Verdict.DOUBTFUL: "yellow"}
# Bits of a braille character by row and column of its 4 x 2 dots (Unicode 15, block 2800).
_BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE_BASE = 0x2800


def printable(text: str) -> str:
    """Text without characters that could steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def assay_table(assays: Sequence[Assay], *, width: int) -> Table:
    """Analytes of all assays: one row per specimen where they fit into `width`, else one per analyte."""
    table = _wide_table(assays)
    fits = _width(table) <= width
    return table if fits else _long_table(assays)


def _width(table: Table) -> int:
    return Console(width=10_000).measure(table).maximum


def _analytes(assays: Sequence[Assay]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(analyte for assay in assays for analyte in assay.analytes))


def units_of(assays: Sequence[Assay], components: Sequence[str]) -> dict[str, DisplayUnit]:
    """One unit per component, the same for all specimens of a table."""
    return {c: display_unit(_fractions(assays, c)) for c in components}


def _fractions(assays: Sequence[Assay], component: str) -> Iterator[float]:
    for assay in assays:
        if component in assay.components:
            yield float(assay.mass_fraction[assay.components.index(component)])


def _factors(assays: Sequence[Assay]) -> str:
    return ", ".join(sorted({f"{assay.coverage_factor:g}" for assay in assays}))


def _title(assays: Sequence[Assay]) -> str:
    return f"Mass fractions of the elements ± expanded uncertainty (k = {_factors(assays)})"


def _wide_table(assays: Sequence[Assay]) -> Table:
    table = Table(title=_title(assays), title_justify="left")
    table.add_column("specimen", no_wrap=True)
    units = units_of(assays, _analytes(assays))
    for analyte, unit in units.items():
        table.add_column(f"{analyte}\n{unit.sign}", justify="right", no_wrap=True)
    for assay in assays:
        cells = [_wide_cell(assay, analyte, unit) for analyte, unit in units.items()]
        table.add_row(Text(printable(assay.specimen)), *cells)
    return table


def _wide_cell(assay: Assay, analyte: str, unit: DisplayUnit) -> Text:
    if analyte not in assay.components:
        return Text("–")
    i = assay.components.index(analyte)
    value, u = rounded(assay.mass_fraction[i], assay.expanded_uncertainty[i], unit)
    verdict = assay.verdicts[i]
    words = "" if verdict is Verdict.DETECTED else f"\n{verdict}"
    return Text(f"{value} ± {u}{words}", style=VERDICT_STYLES[verdict])


def _long_table(assays: Sequence[Assay]) -> Table:
    table = Table(title=_title(assays), title_justify="left")
    table.add_column("specimen", overflow="fold")
    for heading in ("", "found", "± U", "decides at"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    units = units_of(assays, _analytes(assays))
    for assay in assays:
        name = printable(assay.specimen)
        for analyte in assay.analytes:
            table.add_row(Text(name), *_long_cells(assay, analyte, units[analyte]))
            name = ""
        table.add_section()
    return table


def _long_cells(assay: Assay, analyte: str, unit: DisplayUnit) -> list[Text]:
    i = assay.components.index(analyte)
    value, u = rounded(assay.mass_fraction[i], assay.expanded_uncertainty[i], unit)
    verdict = assay.verdicts[i]
    cells = (analyte, value, u, rounded_alone(assay.decision_limit[i], unit), unit.sign, str(verdict))
    return [Text(cell, style=VERDICT_STYLES[verdict]) for cell in cells]


def doubts(assays: Sequence[Assay]) -> list[str]:
    """One line for each doubtful analyte, or one found with a warning; analytes that share a reason share a line."""
    words = {Verdict.DOUBTFUL: "doubtful", Verdict.DETECTED: "found, but"}
    lines = []
    for assay in assays:
        by_reason: dict[tuple[str, str], list[str]] = {}
        for component, verdict, reason in zip(assay.components, assay.verdicts, assay.reasons, strict=True):
            if reason and verdict in words and component in assay.analytes:
                by_reason.setdefault((words[verdict], reason), []).append(component)
        lines += [f"{assay.specimen}: {', '.join(who)} {word}: {why}" for (word, why), who in by_reason.items()]
    return [printable(line) for line in lines]


def caveats(assays: Sequence[Assay]) -> list[str]:
    """One line for each calibration of the results that nobody has approved, or that is superseded."""
    told = dict.fromkeys(
        f"calibration {assay.recipe.calibration}: {assay.recipe.calibration_caveat}"
        for assay in assays
        if assay.recipe.calibration_caveat
    )
    return [printable(line) for line in told]


def calibration_table(calibration: Calibration) -> Table:
    """Sensitivities and blanks of a calibration, and how well the standards agree."""
    table = Table(title=f"Calibration {printable(calibration.name)}", title_justify="left")
    table.add_column("line group", no_wrap=True)
    for heading in ("standards", "sensitivity", "u, %", "blank, mg/kg", "u, mg/kg", "scatter, %"):
        table.add_column(heading, justify="right", no_wrap=True)
    u = np.sqrt(np.maximum(np.diag(calibration.covariance), 0.0))
    for i, group in enumerate(calibration.groups):
        sensitivity = math.exp(calibration.log_sensitivity[i])
        blank = float(calibration.blank[i]), float(calibration.blank_uncertainty[i])
        table.add_row(
            Text(printable(group)),
            str(len({point.material for point in calibration.points if point.group == group})),
            rounded(sensitivity, sensitivity * u[i])[0],
            rounded_alone(100.0 * u[i]),
            *rounded(*blank, DisplayUnit.MILLIGRAM_PER_KILOGRAM),
            rounded_alone(100.0 * calibration.relative_scatter[i]),
        )
    return table


def measurement_table(measurement: Measurement) -> Table:
    """What a file says: one column per spectrum."""
    table = Table(title=printable(measurement.specimen), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    for _ in measurement.spectra:
        table.add_column(overflow="fold")
    columns = [_facts(spectrum) for spectrum in measurement.spectra.values()]
    for fact in columns[0]:
        table.add_row(fact, *(Text(printable(column[fact])) for column in columns))
    return table


def _facts(spectrum: Spectrum) -> dict[str, str]:
    condition, scale = spectrum.condition, spectrum.energy_scale
    centres = scale.energy_kev([0, spectrum.n_channels - 1])
    curved = f", quadratic {scale.quadratic_kev:g} keV" if scale.quadratic_kev else ""
    peak = int(spectrum.counts.argmax())
    not_stated = "not stated"
    return {
        "condition": condition.name,
        "anode": condition.anode or not_stated,
        "tube voltage": _quantity(condition.tube_voltage_kv, "kV"),
        "tube current": _quantity(condition.tube_current_ua, "µA"),
        "filter": condition.filter or not_stated,
        "atmosphere": condition.atmosphere or not_stated,
        "live time": f"{spectrum.live_time_s:g} s",
        "real time": f"{spectrum.real_time_s:g} s (dead time {100 * spectrum.dead_time_fraction:.1f} %)",
        "channels": f"{spectrum.n_channels}, {centres[0]:g} to {centres[1]:g} keV",
        "energy scale": f"zero {scale.zero_kev:g} keV, {1000 * scale.gain_kev:g} eV per channel{curved}",
        "counts": f"{spectrum.total_counts} ({spectrum.total_counts / spectrum.live_time_s:.6g} per second)",
        "highest channel": f"{int(spectrum.counts[peak])} counts at {float(scale.energy_kev(peak)):.4g} keV",
    }


def _quantity(value: float | None, unit: str) -> str:
    return "not stated" if value is None else f"{value:g} {unit}"


def draw_spectrum(spectrum: Spectrum, *, width: int, height: int = 12, braille: bool = True) -> str:
    """A spectrum on a logarithmic scale, drawn with characters.

    width, height : in characters, axes included; height is that of the drawing area alone.
    braille : dots of 2 x 4 per character; else "#", for terminals that know ASCII only.
    """
    label_width = 8
    columns = max(width - label_width - 1, 10)
    across, down = (2, 4) if braille else (1, 1)
    tops, decades = _column_heights(spectrum.counts, columns * across, height * down)
    dots = tops[np.newaxis, :] >= np.arange(height * down, 0, -1)[:, np.newaxis]
    rows = _braille_rows(dots) if braille else ["".join("#" if dot else " " for dot in row) for row in dots]
    corner, side, bottom = ("└", "│", "─") if braille else ("+", "|", "-")
    lines = []
    for i, row in enumerate(rows):
        lines.append(f"{_count_label(i, height, decades):>{label_width}}{side}{row.rstrip()}")
    lines.append(f"{'':>{label_width}}{corner}{bottom * columns}")
    lines.append(f"{'':>{label_width}} {_energy_labels(spectrum, columns)}")
    return "\n".join(lines)


def _column_heights(counts: NDArray[np.int64], columns: int, rows: int) -> tuple[NDArray[np.int64], float]:
    """Filled rows of each column (highest channel of those it stands for), and decades up to the top."""
    starts = np.arange(columns) * counts.size // columns
    highest = np.maximum.reduceat(counts, starts)
    logs = np.log10(highest + 1.0)
    decades = max(float(logs.max()), 1.0)
    return np.ceil(logs / decades * rows).astype(np.int64), decades


def _braille_rows(dots: NDArray[np.bool_]) -> list[str]:
    """Characters of a field of dots, shape (4 height, 2 columns)."""
    height, columns = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(height, 4, columns, 2)
    codes = np.einsum("hrcd,rd->hc", cells.astype(np.int64), _BRAILLE_BITS)
    return ["".join(chr(_BRAILLE_BASE + int(code)) if code else " " for code in row) for row in codes]


def _count_label(row: int, height: int, decades: float) -> str:
    """Power of ten that lies in this row of the axis."""
    upper, lower = ((height - row - shift) / height * decades for shift in (0, 1))
    power = math.floor(upper)
    return f"1e{power} " if lower < power <= upper else ""


def _energy_labels(spectrum: Spectrum, columns: int) -> str:
    """Energies below the axis, at about six round values."""
    low, high = (float(e) for e in spectrum.energy_scale.energy_kev([-0.5, spectrum.n_channels - 0.5]))
    step = _round_step((high - low) / 6.0)
    line = [" "] * (columns + 8)
    energy = math.ceil(low / step) * step
    while energy <= high:
        at = round((energy - low) / (high - low) * (columns - 1))
        text = f"{energy:.6g}"
        if at + len(text) <= columns:
            line[at : at + len(text)] = text
        energy += step
    return "".join(line).rstrip() + " keV"


def _round_step(least: float) -> float:
    """Smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1 - 1e-9))
