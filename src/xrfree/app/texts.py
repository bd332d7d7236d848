"""What the bench says, in the languages it knows: one catalogue per language, the same keys in each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

LanguageTag: TypeAlias = Literal["en-US", "zh-CN"]
LANGUAGES: dict[str, LanguageTag] = {"en": "en-US", "zh": "zh-CN"}
"""Catalogues by their short name, and the tag that a browser knows."""
DEFAULT = "en"


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language by key ("section.name")."""
    source = files("xrfree.app").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8")
    sections: dict[str, dict[str, str]] = tomllib.loads(source)
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: str = DEFAULT

    def __call__(self, key: str, **values: Any) -> str:
        """The text of a key with its values; KeyError where there is none."""
        return catalogue(self.language)[key].format(**values)

    def known(self, section: str, name: str) -> str:
        """The text of a name in a section, else the name itself: names of verdicts and of contributions may be new."""
        return catalogue(self.language).get(f"{section}.{name.replace(' ', '_')}", name)


def texts_for(*, chosen: str, accepted: str) -> Texts:
    """The language chosen before, else the first of those a browser accepts, else English.

    accepted : header Accept-Language, e.g. "zh-CN,zh;q=0.9,en;q=0.8".
    """
    if chosen in LANGUAGES:
        return Texts(chosen)
    wanted = [part.partition(";")[0].strip().lower().partition("-")[0] for part in accepted.split(",")]
    return Texts(next((language for language in wanted if language in LANGUAGES), DEFAULT))
