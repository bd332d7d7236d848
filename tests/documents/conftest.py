"""What the tests of documents share: writing text, and looking at the parts of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.errors import DocumentError

Refusal = Callable[[Callable[[Path], object], str, str], DocumentError]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """The error of a loader that is given a text under a file name; its message has all four parts."""

    def refuse(load: Callable[[Path], object], text: str, name: str) -> DocumentError:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DocumentError) as caught:
            load(path)
        error = caught.value
        assert error.found
        assert error.remedy
        place = f"{name} {error.place}".rstrip()
        assert str(error) == f"{place}: {error.found.rstrip('.')}. {error.remedy.rstrip('.')}."
        return error

    return refuse


def edited(text: str, old: str, new: str) -> str:
    """A text with one change; the change must be possible, and must be one."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the text"
    return text.replace(old, new)


@pytest.fixture(name="edited")
def edited_fixture() -> Callable[[str, str, str], str]:
    return edited
