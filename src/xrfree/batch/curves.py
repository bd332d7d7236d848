"""Fitted curves of the few specimens that are drawn: a folder that may be deleted at any time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from xrfree.areas import FitCurve
from xrfree.report.files import replacing

_NAMES = ("energy_kev", "counts", "expected", "background")


class CurveFolder:
    """Curves of fits by the identity of their assay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, key: str, curves: Sequence[FitCurve]) -> None:
        """Keep the curves of one assay."""
        arrays = {f"{name}_{i}": getattr(curve, name) for i, curve in enumerate(curves) for name in _NAMES}
        with replacing(self._path(key)) as partial:
            np.savez_compressed(partial, **arrays)

    def of(self, key: str) -> tuple[FitCurve, ...]:
        """The curves of an assay; none if they are not here."""
        try:
            with np.load(self._path(key), allow_pickle=False) as found:
                n = len(found.files) // len(_NAMES)
                return tuple(FitCurve(**{name: found[f"{name}_{i}"] for name in _NAMES}) for i in range(n))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return ()

    def forget_others(self, keys: Iterable[str]) -> None:
        """Remove what belongs to none of these."""
        wanted = {self._path(key) for key in keys}
        for path in self.folder.glob("*.npz"):
            if path not in wanted:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"
