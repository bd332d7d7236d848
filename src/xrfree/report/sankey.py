"""Sankey diagram of a flow sheet: bands as wide as the mass, or the metal, that goes through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from xrfree.flow.sheet import OUTSIDE

WIDTH, BAND, GAP, BOX, MARGIN = 960.0, 300.0, 22.0, 14.0, 110.0
SMALLEST_BAND = 1.0
_COLOURS = ("#5b7db1", "#b8723a", "#6b9a5e", "#9a6b9a", "#b14f4f", "#4f9aa3", "#8a8a4f", "#7a7a7a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One stream of the diagram; value in the unit of `sankey_svg`, label below its name."""

    name: str
    source: str
    target: str
    value: float
    label: str


@dataclass(slots=True, kw_only=True)
class _Box:
    x: float
    y: float = 0.0
    height: float = 0.0
    used_in: float = 0.0
    used_out: float = 0.0


def sankey_svg(bands: Sequence[Band], *, title: str) -> str:
    """The diagram as SVG text, for a page or a file of its own.

    Steps stand in columns from left to right, each to the right of all that feed it; bands that go back are drawn
    below. Bands of less than nothing are drawn as thin as those of nothing.
    """
    ends = _with_ends(bands)
    columns = _columns(ends)
    largest = max((sum(max(b.value, 0.0) for b in ends if b.source == place) for place in columns), default=0.0)
    largest = max(largest, max((max(b.value, 0.0) for b in ends), default=0.0), 1e-300)
    scale = BAND / largest
    boxes, height = _boxes(ends, columns, scale)
    shapes = [_band(b, boxes, scale, _COLOURS[i % len(_COLOURS)], height) for i, b in enumerate(ends)]
    steps = [
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{BOX}" height="{max(box.height, 2.0):.1f}" fill="#333"/>'
        f'<text x="{box.x + BOX / 2:.1f}" y="{box.y - 6:.1f}" text-anchor="middle" font-weight="bold">{escape(place)}'
        "</text>"
        for place, box in boxes.items()
        if not place.startswith(OUTSIDE)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height + 60:.0f}" role="img" '
        f'font-family="sans-serif" font-size="11"><title>{escape(title)}</title>{"".join(shapes)}{"".join(steps)}</svg>'
    )


def _with_ends(bands: Sequence[Band]) -> list[Band]:
    """Each stream from or to the outside gets an end of its own."""
    found = []
    for band in bands:
        source = f"{OUTSIDE} {band.name}" if band.source == OUTSIDE else band.source
        target = f"{OUTSIDE} {band.name}" if band.target == OUTSIDE else band.target
        found.append(Band(name=band.name, source=source, target=target, value=band.value, label=band.label))
    return found


def _columns(bands: Sequence[Band]) -> dict[str, int]:
    """Column of each place: one more than the largest of what feeds it; what closes a circle does not count."""
    places = list(dict.fromkeys(place for band in bands for place in (band.source, band.target)))
    column = dict.fromkeys(places, 0)
    order = {place: i for i, place in enumerate(places)}
    for _ in places:
        for band in bands:
            back = order[band.target] < order[band.source] and not band.source.startswith(OUTSIDE)
            if not back and column[band.target] <= column[band.source]:
                column[band.target] = min(column[band.source] + 1, len(places))
    return column


def _boxes(bands: Sequence[Band], columns: Mapping[str, int], scale: float) -> tuple[dict[str, _Box], float]:
    last = max(columns.values(), default=0) or 1
    boxes: dict[str, _Box] = {}
    filled: dict[int, float] = {}
    for place, column in columns.items():
        into = sum(max(b.value, 0.0) for b in bands if b.target == place)
        out = sum(max(b.value, 0.0) for b in bands if b.source == place)
        box = _Box(x=MARGIN + (WIDTH - 2 * MARGIN - BOX) * column / last, y=filled.get(column, 30.0))
        box.height = max(max(into, out) * scale, SMALLEST_BAND)
        boxes[place] = box
        filled[column] = box.y + box.height + GAP
    return boxes, max(filled.values(), default=60.0)


def _band(band: Band, boxes: Mapping[str, _Box], scale: float, colour: str, bottom: float) -> str:
    a, b = boxes[band.source], boxes[band.target]
    width = max(band.value * scale, SMALLEST_BAND)
    x0, y0 = a.x + BOX, a.y + a.used_out
    x1, y1 = b.x, b.y + b.used_in
    a.used_out += width
    b.used_in += width
    if x1 > x0:
        middle = (x0 + x1) / 2
        path = (
            f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f} V{y1 + width:.1f} "
            f"C{middle:.1f},{y1 + width:.1f} {middle:.1f},{y0 + width:.1f} {x0:.1f},{y0 + width:.1f} Z"
        )
        shape = f'<path d="{path}" fill="{colour}" fill-opacity="0.55"/>'
        text_x, text_y = middle, (y0 + y1 + width) / 2
    else:
        low, centre = bottom + 14, (x0 + x1) / 2
        path = (
            f"M{x0:.1f},{y0 + width / 2:.1f} C{x0 + 50:.1f},{low:.1f} {x0 + 20:.1f},{low:.1f} {centre:.1f},{low:.1f} "
            f"S{x1 - 50:.1f},{low:.1f} {x1:.1f},{y1 + width / 2:.1f}"
        )
        shape = f'<path d="{path}" fill="none" stroke="{colour}" stroke-opacity="0.55" stroke-width="{width:.1f}"/>'
        text_x, text_y = centre, low + 4
    if band.source.startswith(OUTSIDE):
        text_x, anchor = a.x - 2, "end"
        text_y = a.y + a.height / 2
    elif band.target.startswith(OUTSIDE):
        text_x, anchor = b.x + BOX + 4, "start"
        text_y = b.y + b.height / 2
    else:
        anchor = "middle"
    return (
        f'{shape}<text x="{text_x:.1f}" y="{text_y:.1f}" text-anchor="{anchor}">{escape(band.name)}'
        f'<tspan x="{text_x:.1f}" dy="12" fill="#555">{escape(band.label)}</tspan></text>'
    )
