from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

import xrfree.app
from xrfree.app.texts import DEFAULT, LANGUAGES, Texts, catalogue, texts_for
from xrfree.areas import FitVerdict
from xrfree.assay import Verdict
from xrfree.calibration import CalibrationStatus
from xrfree.quality.charts import CHARTS
from xrfree.report.budget import CONTRIBUTION_NAMES

FOLDER = Path(xrfree.app.__file__).parent
OTHERS = [language for language in LANGUAGES if language != DEFAULT]


def values_of(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_catalogue_is_of_a_language_that_can_be_chosen():
    assert {path.stem for path in (FOLDER / "texts").glob("*.toml")} == set(LANGUAGES)


@pytest.mark.parametrize("language", OTHERS)
def test_all_languages_have_the_same_texts_in_the_same_order(language):
    assert list(catalogue(language)) == list(catalogue(DEFAULT))


@pytest.mark.parametrize("language", OTHERS)
def test_all_languages_put_the_same_values_into_a_text(language):
    different = [k for k, text in catalogue(DEFAULT).items() if values_of(text) != values_of(catalogue(language)[k])]
    assert different == []


@pytest.mark.parametrize("language", OTHERS)
def test_what_has_words_is_translated(language):
    same = {k for k, text in catalogue(DEFAULT).items() if catalogue(language)[k] == text}
    assert same <= {"kind.ewma", "kind.cusum", "specimen.digest"}


def test_no_key_stands_twice_and_none_is_empty():
    for language in LANGUAGES:
        source = (FOLDER / "texts" / f"{language}.toml").read_text(encoding="utf-8")
        assert tomllib.loads(source)  # a key that stands twice is an error there
        assert all(text.strip() for text in catalogue(language).values())


def test_every_text_that_the_code_asks_for_is_there():
    known = catalogue(DEFAULT)
    asked = set()
    for path in FOLDER.rglob("*.py"):
        asked |= set(re.findall(r'(?:say|texts_of\(request\))\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8")))
        asked |= set(re.findall(r'UploadRefusedError\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8")))
    assert len(asked) > 60
    assert asked - set(known) == set()


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("verdict", Verdict),
        ("fit", FitVerdict),
        ("status", CalibrationStatus),
        ("contribution", CONTRIBUTION_NAMES),
        ("kind", CHARTS),
    ],
)
def test_every_name_that_results_carry_has_its_text(section, names):
    assert {f"{section}.{str(name).replace(' ', '_')}" for name in names} <= set(catalogue(DEFAULT))


def test_a_name_without_a_text_stands_for_itself():
    assert Texts("zh").known("contribution", "a new origin") == "a new origin"


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de-DE,en;q=0.5", "en"),
        ("zh", "en", "zh"),
        ("en", "zh", "en"),
        ("../../etc", "fr", "en"),
        ("", "", "en"),
    ],
)
def test_who_has_not_chosen_a_language_gets_that_of_the_browser(chosen, accepted, language):
    assert texts_for(chosen=chosen, accepted=accepted).language == language
