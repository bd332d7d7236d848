"""Figures of spectra and fits, drawn without a screen; colours of Okabe & Ito, distinct to colour-blind eyes.

M. Okabe and K. Ito, Color Universal Design (2008).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import FitCurve, NetAreas
from xrfree.atomic import emission_lines, line_group_shells
from xrfree.report.files import write_bytes
from xrfree.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xrfree.fit import RegionFit

FloatArray = NDArray[np.float64]

MEASURED, FITTED, BACKGROUND, OTHER = "#5a5a5a", "#d55e00", "#0072b2", "#009e73"
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#5a5a5a")
"""Colours of things that stand side by side, in this order."""
CONTRIBUTION_CYCLE = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of contributions beside `FITTED` and `BACKGROUND`."""
LINE_STYLES: tuple[Any, ...] = ("-", (0, (3, 1.5)), (0, (1, 1)))
"""What tells lines apart when the colours are used up."""
SINGLE_COLUMN_IN, DOUBLE_COLUMN_IN = 3.5, 7.2
"""Widths (inches) of figures in one and in two columns of a journal: 89 and 183 mm."""
_STYLE: Any = {
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "xrfree",
}
ORE_GROUPS = (
    "Al K", "Si K", "P K", "S K", "K K", "Ca K", "Ti K", "V K", "Cr K", "Mn K", "Fe K", "Ni K", "Cu K", "Zn K", "As K",
    "Sr K", "Y K", "Zr K", "Nb K", "Ba L", "La L", "Ce L", "Pr L", "Nd L", "Sm L", "Pb L", "Th L", "U L",
)  # fmt: skip
"""Line groups that spectra of rare-earth iron ores usually show."""
_LABEL_LEVELS = 3
_LABEL_INCHES, _LABEL_POINTS = 0.34, 9.0
_LOWEST_LABEL_KEV = 1.0
_STANDS_OUT = 5.0
_ANODES = ("Rh", "Pd", "Ag", "Mo", "W", "Cr", "Cu", "Au", "Ti")
_DOTS_PER_INCH = 150


def spectra_figure(spectra: Iterable[Spectrum], title: str = "") -> Figure:
    """Spectra, one below the other, without a word on what the peaks are: `spectrum_figure` says that."""
    drawn = list(spectra)
    with house_style():
        figure = new_figure(9.0, 0.4 + 2.8 * len(drawn))
        panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
        for axes, spectrum in zip(panels, drawn, strict=True):
            _draw_counts(axes, spectrum)
        panels[-1].set_xlabel("energy, keV")
        if title:
            figure.suptitle(literal(title), x=0.01, ha="left", fontsize=10)
        return figure


def spectrum_figure(
    spectrum: Spectrum,
    *,
    elements: Sequence[str] | None = None,
    range_kev: tuple[float, float] | None = None,
    title: str = "",
    axes: Axes | None = None,
    width_in: float = DOUBLE_COLUMN_IN,
) -> Figure:
    """Counts per channel on a logarithmic scale, with names above the peaks.

    elements : whose lines are marked; None for those that a peak suggests (`suggested_groups`).
    range_kev : what is shown; None for everything up to the tube voltage.
    axes : to draw into; None makes a figure `width_in` inches wide.
    """
    with house_style():
        axes = new_figure(width_in, max(0.42 * width_in, 2.2)).subplots() if axes is None else axes
        _draw_counts(axes, spectrum)
        low, high = range_kev or (float(spectrum.edges_kev[0]), excited_kev(spectrum))
        groups = suggested_groups(spectrum) if elements is None else groups_between(elements, low, high)
        axes.set_xlim(low, high)
        axes.set_xlabel("energy, keV")
        _label_groups(axes, groups, (low, high), elements or (), title or _described(spectrum))
        return figure_of(axes)


def excited_kev(spectrum: Spectrum) -> float:
    """Energy (keV) at which the spectrum or, where the file states it, the tube voltage ends, whichever comes first."""
    end = float(spectrum.edges_kev[-1])
    voltage = spectrum.condition.tube_voltage_kv
    return end if voltage is None else min(end, 1.03 * voltage)


def groups_between(elements: Iterable[str], low_kev: float, high_kev: float) -> tuple[str, ...]:
    """Line groups of the elements whose strongest line lies between two energies (keV) and above 1 keV, by energy."""
    found = [(group_energy_kev(g), g) for e in elements for g in _series_of(e)]
    return tuple(group for energy, group in sorted(found) if max(low_kev, _LOWEST_LABEL_KEV) < energy < high_kev)


def _series_of(element: str) -> list[str]:
    """Line groups of an element that the tables know."""
    return [
        f"{element} {series}"
        for series in ("K", "L", "M")
        if any(emission_lines(element, shell) for shell in line_group_shells(series)[-1:])
    ]


def suggested_groups(spectrum: Spectrum) -> tuple[str, ...]:
    """Those of `ORE_GROUPS`, and of the anode's lines, at which a peak stands out: names for the eye, and no finding.

    A peak stands out when the counts around the line exceed those one width beside it by five times their standard
    deviation.
    """
    low, high = max(float(spectrum.edges_kev[0]), _LOWEST_LABEL_KEV), excited_kev(spectrum)
    anode = spectrum.condition.anode
    known = (*ORE_GROUPS, *(groups_between([anode], low, high) if anode in _ANODES else ()))
    places = sorted((group_energy_kev(group), group) for group in dict.fromkeys(known))
    return tuple(g for energy, g in places if low < energy < high and _height(spectrum, energy) > _STANDS_OUT)


def _width_kev(energy_kev: float) -> float:
    """Usual full width of a line in a silicon drift detector: 60 eV of noise, Fano factor 0.115, 3.65 eV per pair."""
    return float(np.sqrt(0.060**2 + 2.355**2 * 0.115 * 0.00365 * energy_kev))


def _height(spectrum: Spectrum, energy_kev: float) -> float:
    """Counts of a peak above those on either side of it, in standard deviations of that difference."""
    away = np.abs(spectrum.centres_kev - energy_kev) / _width_kev(energy_kev)
    top, beside = spectrum.counts[away < 0.4], spectrum.counts[(away > 0.9) & (away < 1.3)]
    if top.size < 2 or beside.size < 2:
        return 0.0
    sigma = np.sqrt(max(top.mean(), 1.0) / top.size + max(beside.mean(), 1.0) / beside.size)
    return float((top.mean() - beside.mean()) / sigma)


def _draw_counts(axes: Axes, spectrum: Spectrum) -> None:
    axes.step(spectrum.centres_kev, spectrum.counts, where="mid", color=MEASURED, linewidth=0.7)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(spectrum.edges_kev[0], spectrum.edges_kev[-1])
    axes.set_ylabel("counts per channel")
    axes.set_title(_described(spectrum), loc="left", fontsize=8.5)


def _described(spectrum: Spectrum) -> str:
    return literal(f"{spectrum.condition.name}, {spectrum.live_time_s:g} s")


def fit_figure(
    fit: NetAreas | RegionFit,
    *,
    title: str = "",
    emphasised: Sequence[str] = (),
    axes: tuple[Axes, Axes] | None = None,
    width_in: float = 8.0,
) -> Figure:
    """One fitted region: counts, fit and background; below it what remains, in standard deviations.

    fit : net areas; a fit that still has its model (`RegionFit`) also shows what each element contributes.
    emphasised : elements whose labels stand out, and whose contributions are coloured.
    axes : for the two panels; None makes a figure `width_in` inches wide.
    """
    areas = fit if isinstance(fit, NetAreas) else fit.areas
    with house_style():
        upper, lower = _two_panels(width_in) if axes is None else axes
        _draw_curve(upper, areas.curve)
        smallest = np.inf if isinstance(fit, NetAreas) else _draw_contributions(upper, fit, emphasised)
        _finish_curve(upper, areas.curve, 0.2 * smallest)
        energies = areas.curve.energy_kev
        _label_groups(upper, areas.groups, (float(energies.min()), float(energies.max())), emphasised, title)
        _draw_residuals(lower, areas.curve)
        return figure_of(upper)


def _two_panels(width_in: float) -> tuple[Axes, Axes]:
    figure = new_figure(width_in, 0.45 * width_in)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1.0))
    return upper, lower


def _draw_contributions(axes: Axes, fit: RegionFit, emphasised: Sequence[str]) -> float:
    """Expected counts of the lines of each element, escape peaks included; the smallest maximum that is emphasised."""
    energy, curve = fit.model.spectrum.centres_kev, fit.areas.curve
    shown = (energy >= curve.energy_kev.min()) & (energy <= curve.energy_kev.max())
    by_element: dict[str, FloatArray] = {}
    for group, counts in zip(fit.areas.groups, fit.lines, strict=True):
        element = group.partition(" ")[0]
        by_element[element] = by_element.get(element, np.zeros(counts.size)) + counts
    smallest = np.inf
    for element, counts in by_element.items():
        style: Any = {"color": "#bbbbbb", "linewidth": 0.6}
        if element in emphasised:
            place = list(emphasised).index(element)
            style = {"color": CONTRIBUTION_CYCLE[place % len(CONTRIBUTION_CYCLE)], "linewidth": 1.1, "label": element}
            style["linestyle"] = LINE_STYLES[place // len(CONTRIBUTION_CYCLE) % len(LINE_STYLES)]
            smallest = min(smallest, max(float(counts[shown].max()), 1.0))
        axes.plot(energy[shown], counts[shown], **style)
    return smallest


def _draw_curve(axes: Axes, curve: FitCurve) -> None:
    """Ranges that do not touch are drawn apart."""
    for part in _connected(curve.energy_kev):
        first = part.start == 0
        energy = curve.energy_kev[part]
        axes.step(
            energy,
            curve.counts[part],
            where="mid",
            color=MEASURED,
            linewidth=0.8,
            label="measured" if first else None,
        )
        axes.plot(energy, curve.expected[part], color=FITTED, linewidth=1.0, label="fit" if first else None)
        axes.plot(
            energy,
            curve.background[part],
            color=BACKGROUND,
            linewidth=1.0,
            linestyle=(0, (4, 2)),
            label="background" if first else None,
        )


def _finish_curve(axes: Axes, curve: FitCurve, shown_from: float) -> None:
    axes.set_yscale("log")
    lowest = min(curve.background.min(initial=np.inf), curve.counts.min(initial=np.inf))
    highest = max(curve.counts.max(initial=1.0), curve.expected.max(initial=1.0))
    # The top is left free for the legend.
    axes.set_ylim(bottom=max(min(0.7 * lowest, shown_from), 0.5), top=(4.0 if np.isinf(shown_from) else 15.0) * highest)
    axes.margins(x=0.01)
    axes.set_ylabel("counts per channel")
    axes.legend(loc="upper right", ncols=5, handlelength=1.6, columnspacing=1.2)


def _draw_residuals(axes: Axes, curve: FitCurve) -> None:
    residual = standardised_residuals(curve)
    axes.axhspan(-2.0, 2.0, color="#eef3f7", zorder=0)
    axes.axhline(0.0, color="#555555", linewidth=0.6)
    axes.plot(curve.energy_kev, residual, ".", color=OTHER, markersize=2.0)
    largest = float(np.abs(residual).max(initial=4.0))
    axes.set_ylim(-1.1 * largest, 1.1 * largest)
    axes.set_ylabel("residual, σ")
    axes.set_xlabel("energy, keV")


def standardised_residuals(curve: FitCurve) -> FloatArray:
    """(n - μ) / √μ, with at least one expected count; shape (n_channels_in_fit,)."""
    return np.asarray((curve.counts - curve.expected) / np.sqrt(np.maximum(curve.expected, 1.0)))


def _connected(energy_kev: FloatArray) -> list[slice]:
    """Stretches of channels without a gap."""
    if energy_kev.size < 2:
        return [slice(0, energy_kev.size)]
    steps = np.diff(energy_kev)
    ends = [*(np.flatnonzero(steps > 1.5 * np.median(steps)) + 1).tolist(), energy_kev.size]
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _label_groups(
    axes: Axes, groups: Iterable[str], range_kev: tuple[float, float], emphasised: Sequence[str], title: str
) -> None:
    """Names of line groups above their strongest line, in three heights so that they do not collide; title above."""
    low, high = range_kev
    places = sorted((group_energy_kev(group), group) for group in groups)
    inside = [(energy, group) for energy, group in places if low <= energy <= high]
    width_in = axes.get_position().width * figure_of(axes).get_figwidth()
    last = [-np.inf] * _LABEL_LEVELS
    for energy, group in inside:
        room = [(energy - taken) * width_in / (high - low) for taken in last]
        level = next((i for i, gap in enumerate(room) if gap > _LABEL_INCHES), int(np.argmax(room)))
        strong = group.partition(" ")[0] in emphasised
        axes.axvline(energy, color="#999999" if strong else "#d9d9d9", linewidth=0.5, zorder=0.5)
        if room[level] < 0.7 * _LABEL_INCHES and not strong:
            continue  # a line without a name, rather than two names on top of each other
        last[level] = energy
        axes.annotate(
            literal(group),
            (energy, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0.0, 3.0 + _LABEL_POINTS * level),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
            fontweight="bold" if strong else "normal",
            color="#111111" if strong else "#777777",
        )
    if title:
        levels = sum(np.isfinite(last))
        axes.set_title(literal(title), loc="left", fontsize=8.5, pad=6.0 + _LABEL_POINTS * levels)


def group_energy_kev(group: str) -> float:
    """Energy (keV) of the strongest line of a group: that of its last subshell (K, L3, M5)."""
    element, _, series = group.partition(" ")
    lines = emission_lines(element, line_group_shells(series)[-1])
    return max(lines, key=lambda line: line.line_fraction).energy_kev


def png(figure: Figure) -> bytes:
    """The figure as a PNG image, the same bytes for the same data."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font does not know is drawn as boxes; that is no reason to complain.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": "xrfree"})
    return buffer.getvalue()


def write_png(path: Path, figure: Figure) -> None:
    """Write the figure as a PNG file."""
    write_bytes(path, png(figure))


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure (inches) that needs no screen."""
    from xrfree.report.house import house_figure  # matplotlib takes 0.3 s that only figures need

    return house_figure(width_in, height_in)


def figure_of(axes: Axes) -> Figure:
    """The figure axes belong to, also where it is part of another."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def house_style() -> AbstractContextManager[None]:
    """The style of all our figures, for the time of a `with`: make your own axes inside it, too."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def literal(text: str) -> str:
    """Text that matplotlib takes as it is: no formulas between dollar signs."""
    return text.replace("$", r"\$")
