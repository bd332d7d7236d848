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

FloatArray = NDArray[np.float64]

MEASURED, FITTED, BACKGROUND, OTHER = "#5a5a5a", "#d55e00", "#0072b2", "#009e73"
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
_LABEL_LEVELS = 3
_DOTS_PER_INCH = 150


def spectrum_figure(spectra: Iterable[Spectrum], title: str = "") -> Figure:
    """Raw spectra, one below the other: counts per channel on a logarithmic scale."""
    drawn = list(spectra)
    with house_style():
        figure = new_figure(9.0, 0.4 + 2.8 * len(drawn))
        panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
        for axes, spectrum in zip(panels, drawn, strict=True):
            axes.step(spectrum.centres_kev, spectrum.counts, where="mid", color=MEASURED, linewidth=0.7)
            axes.set_yscale("symlog", linthresh=1.0)
            axes.set_ylim(bottom=0)
            axes.set_xlim(spectrum.edges_kev[0], spectrum.edges_kev[-1])
            axes.set_ylabel("counts per channel")
            label = f"{spectrum.condition.name}, {spectrum.live_time_s:g} s"
            axes.set_title(literal(label), loc="left", fontsize=8.5)
        panels[-1].set_xlabel("energy, keV")
        if title:
            figure.suptitle(literal(title), x=0.01, ha="left", fontsize=10)
        return figure


def fit_figure(areas: NetAreas, *, title: str = "", emphasised: Sequence[str] = ()) -> Figure:
    """One fitted region: counts, fit and background; below it what remains, in standard deviations.

    emphasised : elements whose labels stand out.
    """
    curve = areas.curve
    with house_style():
        figure = new_figure(8.0, 3.6)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1.0))
        _draw_curve(upper, curve)
        _label_groups(upper, areas, emphasised)
        if title:
            upper.set_title(literal(title), loc="left", fontsize=8.5, pad=26)
        _draw_residuals(lower, curve)
        return figure


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
    axes.set_yscale("log")
    lowest = min(curve.background.min(initial=np.inf), curve.counts.min(initial=np.inf))
    highest = max(curve.counts.max(initial=1.0), curve.expected.max(initial=1.0))
    # The top is left free for the legend.
    axes.set_ylim(bottom=max(0.7 * lowest, 0.5), top=4.0 * highest)
    axes.margins(x=0.01)
    axes.set_ylabel("counts per channel")
    axes.legend(loc="upper right", ncols=3, handlelength=1.8)


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
    """(n - μ) / √μ, with at least one expected count."""
    return np.asarray((curve.counts - curve.expected) / np.sqrt(np.maximum(curve.expected, 1.0)))


def _connected(energy_kev: FloatArray) -> list[slice]:
    """Stretches of channels without a gap."""
    if energy_kev.size < 2:
        return [slice(0, energy_kev.size)]
    steps = np.diff(energy_kev)
    ends = [*(np.flatnonzero(steps > 1.5 * np.median(steps)) + 1).tolist(), energy_kev.size]
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _label_groups(axes: Axes, areas: NetAreas, emphasised: Sequence[str]) -> None:
    """Names of line groups above their strongest line, in three heights so that they do not collide."""
    low, high = float(areas.curve.energy_kev.min()), float(areas.curve.energy_kev.max())
    places = sorted((group_energy_kev(group), group) for group in areas.groups)
    inside = [(energy, group) for energy, group in places if low <= energy <= high]
    last = [-np.inf] * _LABEL_LEVELS
    for energy, group in inside:
        room = [energy - taken for taken in last]
        level = next((i for i, gap in enumerate(room) if gap > 0.045 * (high - low)), int(np.argmax(room)))
        last[level] = energy
        strong = group.partition(" ")[0] in emphasised
        axes.axvline(energy, color=OTHER if strong else "#cccccc", linewidth=0.5, zorder=0.5)
        axes.annotate(
            literal(group),
            (energy, 1.01 + 0.075 * level),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=6.5,
            fontweight="bold" if strong else "normal",
            color="#111111" if strong else "#777777",
        )


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


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def house_style() -> AbstractContextManager[None]:
    """The style of all our figures, for the time of a `with`."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def literal(text: str) -> str:
    """Text that matplotlib takes as it is: no formulas between dollar signs."""
    return text.replace("$", r"\$")
