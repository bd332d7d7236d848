"""Figures of the report as pictures for pages."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The style of a figure is set for a while for all of matplotlib: one figure after the other.
_DRAWING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="drawing")


async def picture(draw: Callable[..., Figure], *arguments: Any, **options: Any) -> str:
    """Data address of a drawn figure."""

    def drawn() -> str:
        from xrfree.report.plots import png

        return f"data:image/png;base64,{base64.b64encode(png(draw(*arguments, **options))).decode('ascii')}"

    return await asyncio.get_running_loop().run_in_executor(_DRAWING, drawn)
