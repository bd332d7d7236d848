"""The pages of the documentation, which travel with the program so that they can be read without a network."""

from __future__ import annotations

from pathlib import Path

from xrfree.errors import DomainError

_PACKAGE = Path(__file__).resolve().parents[1] / "_docs"
_CHECKOUT = Path(__file__).resolve().parents[3] / "docs"


def page_names() -> tuple[str, ...]:
    """Names of all pages, e.g. "readers" or "tutorials/technician"."""
    root = _root()
    return tuple(sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.md")))


def page_text(name: str) -> str:
    """Markdown of one page.

    Raises DomainError for a page that there is not, with the names of those there are.
    """
    if name not in page_names():
        raise DomainError(f"there is no page '{name}'; pages are {', '.join(page_names())}")
    return (_root() / f"{name}.md").read_text(encoding="utf-8")


def _root() -> Path:
    """A wheel carries the pages inside the package; in a checkout they are read from its folder docs."""
    return _PACKAGE if _PACKAGE.is_dir() else _CHECKOUT
