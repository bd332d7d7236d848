"""What the bench says, in the languages it knows: one catalogue per language, the same keys in each."""

from __future__ import annotations

import re
import string
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

LanguageTag: TypeAlias = Literal["en-US", "zh-CN"]
LANGUAGES: dict[str, LanguageTag] = {"en": "en-US", "zh": "zh-CN"}
"""Catalogues by their short name, and the tag that a browser knows."""
DEFAULT = "en"
_VALUE = r"(?:(?![;:] ).)+?"
_VALUES = {"items": ".+", "reason": ".+", "group": r"\S+ \S+"}
"""What the values of sentences look like: some hold sentences of their own, line groups are two words ("La L")."""
_LONGEST = 1000
"""Characters from which on nothing is looked for: names of files are anybody's."""
_PARTS = (
    ("semicolon", "; ", ""),
    ("colon", ": ", ""),
    ("brackets", " (", ")"),
    ("comma", ", ", ""),
    ("and", " and ", ""),
    ("from", " from ", ""),
)
"""How sentences are put together: key in the section "part", what stands between both parts, and after the second."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language by key ("section.name")."""
    source = files("xrfree.app").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8")
    sections: dict[str, dict[str, str]] = tomllib.loads(source)
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}


@cache
def _sentences() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Sentences that xrfree says: key, its longest fixed part, and what it looks like; those that say most first."""
    said = {key: text for key, text in catalogue(DEFAULT).items() if key.startswith("sentence.")}
    pieces = {key: [part[:2] for part in string.Formatter().parse(text)] for key, text in said.items()}
    fixed = {key: [literal for literal, _ in parts] for key, parts in pieces.items()}
    return tuple(
        (key, max(fixed[key], key=len), re.compile("".join(map(_piece, pieces[key])) + r"\.?", re.DOTALL))
        for key in sorted(pieces, key=lambda key: -len("".join(fixed[key])))
    )


def _piece(piece: tuple[str, str | None]) -> str:
    """The fixed part of a sentence, and a value that follows it."""
    literal, name = piece
    return re.escape(literal) + ("" if name is None else f"(?P<{name}>{_VALUES.get(name, _VALUE)})")


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

    def sentence(self, said: str) -> str:
        """What xrfree itself says, in this language: known sentences, also put together; others stay as they are."""
        return said if self.language == DEFAULT or len(said) > _LONGEST else _translated(self, said)


@lru_cache(maxsize=10_000)
def _translated(texts: Texts, said: str) -> str:
    for key, fixed, pattern in _sentences():
        if fixed in said and (found := pattern.fullmatch(said)):
            return texts(key, **{name: texts.sentence(value) for name, value in found.groupdict().items()})
    for name, between, after in _PARTS:
        first, put_together, rest = said.partition(between)
        if put_together and rest.endswith(after):
            parts = first, rest.removesuffix(after)
            told = tuple(map(texts.sentence, parts))
            if told != parts:
                return texts(f"part.{name}", first=told[0], rest=told[1])
    return texts.known("fit", said)


def texts_for(*, chosen: str, accepted: str) -> Texts:
    """The language chosen before, else the first of those a browser accepts, else English.

    accepted : header Accept-Language, e.g. "zh-CN,zh;q=0.9,en;q=0.8".
    """
    if chosen in LANGUAGES:
        return Texts(chosen)
    wanted = [part.partition(";")[0].strip().lower().partition("-")[0] for part in accepted.split(",")]
    return Texts(next((language for language in wanted if language in LANGUAGES), DEFAULT))
