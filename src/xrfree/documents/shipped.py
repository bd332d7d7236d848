"""Where the documents lie that ship with xrfree: certificates, instruments, methods."""

from __future__ import annotations

from pathlib import Path

from xrfree.errors import DocumentError

_PACKAGE = Path(__file__).resolve().parents[1] / "_shipped"
_CHECKOUT = Path(__file__).resolve().parents[3] / "calibration"


def shipped_path(*parts: str) -> Path:
    """Path of a shipped document or folder, e.g. shipped_path("methods", "iron-ore-edxrf.toml").

    A wheel carries them inside the package; in a checkout they are read from its folder calibration.

    Raises DocumentError for what does not ship with xrfree, with the names of what does.
    """
    root = _PACKAGE if _PACKAGE.is_dir() else _CHECKOUT
    path = root.joinpath(*parts)
    if path.exists():
        return path
    folder = next((parent for parent in path.parents if parent.is_dir()), root)
    found = sorted(entry.name for entry in folder.iterdir()) if folder.is_relative_to(root) else []
    raise DocumentError(
        path,
        found="does not ship with xrfree",
        remedy=f"Choose one of {', '.join(found)}" if found else "Install xrfree again, its data are missing",
    )
