"""The figure of our house: a matplotlib figure that draws itself in a notebook, whether pyplot is at work or not."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xrfree.report.plots import png


class HouseFigure(Figure):
    """A figure that needs no screen; its image is the same for the same data."""

    def _repr_png_(self) -> bytes:
        """What Jupyter shows."""
        return png(self)


def house_figure(width_in: float, height_in: float) -> HouseFigure:
    """An empty figure of that size (inches)."""
    figure = HouseFigure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
