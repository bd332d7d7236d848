"""A spectrum or a fit to zoom into: one plotly figure that works in a notebook and in a saved page, without a network.

Drag to zoom, double click to see everything; buttons change between logarithmic and linear counts; a click on the
legend puts a component, or the marks of an element, on or off. Needs the extra `jupyter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from xrfree.areas import NetAreas
from xrfree.atomic import emission_lines, line_group_shells
from xrfree.errors import XrfreeError
from xrfree.fit import RegionFit
from xrfree.report.plots import BACKGROUND, CONTRIBUTION_CYCLE, CYCLE, FITTED, MEASURED, excited_kev, suggested_groups
from xrfree.spectrum import Spectrum

_LEAST_MARKED = 0.02
"""Share of its subshell's decays below which a line gets no mark."""
_LEAST_DRAWN = 0.5
"""Counts per channel below which a component is not drawn: a logarithmic axis would show nothing else."""
_DASHES = ("solid", "dash", "dot", "dashdot")
_HEIGHT = 600


def interactive_figure(noun: Spectrum | NetAreas | RegionFit, *, elements: Sequence[str] | None = None) -> Any:
    """A plotly.graph_objects.Figure of a spectrum, of net areas, or of a fit with what each element contributes.

    elements : whose lines can be marked; None for those of the fit, or those that the peaks of a spectrum suggest.

    Raises XrfreeError where plotly is not installed.
    """
    try:
        go = import_module("plotly.graph_objects")
    except ImportError as problem:
        raise XrfreeError('this view needs plotly. Install it: pip install "xrfree[jupyter]"') from problem
    figure = go.Figure()
    if isinstance(noun, Spectrum):
        groups, top, end = suggested_groups(noun), float(noun.counts.max()), excited_kev(noun)
        _line(figure, "measured", noun.centres_kev, noun.counts, MEASURED, shape="hvh")
        span = (float(noun.edges_kev[0]), end)
    else:
        areas = noun if isinstance(noun, NetAreas) else noun.areas
        groups, top = areas.groups, float(areas.curve.counts.max(initial=1.0))
        span = (float(areas.curve.energy_kev.min()), float(areas.curve.energy_kev.max()))
        _draw_fit(figure, areas)
        if isinstance(noun, RegionFit):
            _draw_components(figure, noun, span)
    named = dict.fromkeys(group.partition(" ")[0] for group in groups) if elements is None else elements
    for i, element in enumerate(named):
        _mark(figure, element, span, top, CYCLE[i % len(CYCLE)])
    figure.update_layout(**_layout(span))
    return figure


def _line(figure: Any, name: str, x: Any, y: Any, colour: str, *, shape: str = "linear", dash: str = "solid") -> None:
    line = {"color": colour, "width": 1.3, "shape": shape, "dash": dash}
    figure.add_scatter(x=x, y=y, name=name, mode="lines", line=line)


def _draw_fit(figure: Any, areas: NetAreas) -> None:
    curve = areas.curve
    gaps = np.flatnonzero(np.diff(curve.energy_kev) > 1.5 * np.median(np.diff(curve.energy_kev))) + 1
    x = np.insert(curve.energy_kev, gaps, np.nan)  # ranges that do not touch are drawn apart
    for name, y, colour in (
        ("measured", curve.counts, MEASURED),
        ("fit", curve.expected, FITTED),
        ("background", curve.background, BACKGROUND),
    ):
        shape = "hvh" if name == "measured" else "linear"
        _line(figure, name, x, np.insert(y, gaps, np.nan), colour, shape=shape)


def _draw_components(figure: Any, fit: RegionFit, span: tuple[float, float]) -> None:
    energy = fit.model.spectrum.centres_kev
    inside = (energy >= span[0]) & (energy <= span[1])
    for i, (group, counts) in enumerate(zip(fit.areas.groups, fit.lines, strict=True)):
        shown = np.where(counts[inside] < _LEAST_DRAWN, np.nan, counts[inside])
        colour = CONTRIBUTION_CYCLE[i % len(CONTRIBUTION_CYCLE)]
        dash = _DASHES[i // len(CONTRIBUTION_CYCLE) % len(_DASHES)]
        _line(figure, group, energy[inside], shown, colour, dash=dash)


def _mark(figure: Any, element: str, span: tuple[float, float], top: float, colour: str) -> None:
    """Stems at the lines of an element, hidden until its name in the legend is clicked."""
    shells = [shell for series in "KLM" for shell in line_group_shells(series)]
    lines = [line for s in shells for line in emission_lines(element, s, least_fraction=_LEAST_MARKED)]
    shown = [line for line in lines if span[0] <= line.energy_kev <= span[1]]
    if not shown:
        return
    x = [e for line in shown for e in (line.energy_kev, line.energy_kev, None)]
    y = [count for _ in shown for count in (_LEAST_DRAWN, top, None)]
    text = [label for line in shown for label in (f"{element} {line.siegbahn}",) * 2 + ("",)]
    figure.add_scatter(
        x=x,
        y=y,
        text=text,
        legend="legend2",
        name=f"lines of {element}",
        mode="lines",
        visible="legendonly",
        hovertemplate="%{text}<br>%{x:.3f} keV<extra></extra>",
        line={"color": colour, "width": 1.0, "dash": "dot"},
    )


def _layout(span: tuple[float, float]) -> dict[str, Any]:
    buttons = [
        {"label": label, "method": "relayout", "args": [{"yaxis.type": kind}]}
        for label, kind in (("log", "log"), ("linear", "linear"))
    ]
    marks = {"orientation": "h", "x": 0.0, "y": -0.16, "xanchor": "left", "yanchor": "top", "font": {"size": 11}}
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0.0, "y": 1.12, "xanchor": "left"}
    return {
        "template": "simple_white",
        "height": _HEIGHT,
        "margin": {"l": 60, "r": 10, "t": 50, "b": 130},
        "xaxis": {"title": {"text": "energy, keV"}, "range": list(span)},
        "yaxis": {"title": {"text": "counts per channel"}, "type": "log", "exponentformat": "power"},
        "legend": {"groupclick": "toggleitem"},
        "legend2": marks,
        "updatemenus": [menu],
    }
