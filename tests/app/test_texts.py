from __future__ import annotations

import ast
import re
import string
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import xrfree.app
from xrfree.app.texts import DEFAULT, LANGUAGES, Texts, catalogue, texts_for
from xrfree.areas import FitVerdict
from xrfree.assay import Verdict
from xrfree.calibration import CalibrationStatus
from xrfree.quality.charts import CHARTS, MEANINGS
from xrfree.quality.gating import KINDS, Outcome
from xrfree.report.budget import ADVICE, CONTRIBUTION_NAMES

FOLDER = Path(xrfree.app.__file__).parent
SOURCE = FOLDER.parent
DYNAMIC = ("verdict", "fit", "status", "contribution", "kind", "state", "record", "outcome", "gate_kind", "rule",
           "advice", "part", "sentence")  # fmt: skip
"""Sections whose texts are asked for by names that results carry."""
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
        ("rule", MEANINGS),
        ("advice", ADVICE),
        ("outcome", Outcome),
        ("gate_kind", KINDS.values()),
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


def test_no_text_is_there_that_nobody_asks_for():
    words = set()
    for path in FOLDER.rglob("*.py"):
        words |= set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)?)["']""", path.read_text(encoding="utf-8")))
    keys = [key for key in catalogue(DEFAULT) if key.partition(".")[0] not in DYNAMIC]
    assert [k for k in keys if not {k, k.partition(".")[2]} & words] == ["batch.reading", "batch.assaying"]  # stages


@pytest.mark.parametrize(("section", "said"), [("rule", MEANINGS), ("advice", ADVICE)])
def test_english_texts_are_what_the_program_says(section, said):
    assert {name: catalogue(DEFAULT)[f"{section}.{name.replace(' ', '_')}"] for name in said} == said


# --- sentences of the program -----------------------------------------------------------------------------------------

SPEAKERS = {
    "quality/gating.py": (
        "_unanswered", "_findings", "_peak", "_dead_time", "_tube_line", "_drift", "_range", "_fit", "_sum", "_series",
        "_pattern", "_blank", "_check", "_other_material", "_duplicates", "_disagreements", "_exchange",
    ),
    "quality/duplicates.py": ("accept",),
    "quality/peak.py": ("k_alpha",),
    "quality/charts.py": ("__post_init__", "centre_from_history"),
    "fit/region.py": ("verdict_of", "too_fast", "too_few"),
    "fit/residual.py": ("explain", "structure"),
    "fit/solve.py": ("in_words", "_scaled", "_dependent"),
    "plausibility.py": ("saturation_notes", "full_channel_note"),
    "quantification.py": ("verdict_of_content", "disagreement", "matched_conditions"),
    "calibration.py": ("outside",),
    "quality/validity.py": ("matrix_told",),
    "batch/assaying.py": ("specimen_of",),
    "batch/catalogue.py": ("_conflict", "_refuse_copy"),
    "batch/monitoring.py": ("recorded_series", "recorded_pairs"),
}  # fmt: skip
"""Functions whose sentences the bench shows: reasons of verdicts, findings of gates, refusals by the program itself."""
NO_SENTENCES = {
    "acceptance needs two to four finite results, got",  # a fault of who calls it
    "before fusion",  # asked for, not said
}


def _fixed_parts(node: ast.FunctionDef) -> Iterator[str]:
    """The fixed parts of all texts within a function, docstring and formats left out; two words or more."""
    formats = [n.format_spec for n in ast.walk(node) if isinstance(n, ast.FormattedValue) and n.format_spec]
    left_out = {id(c) for spec in formats for c in ast.walk(spec)}
    kept = node if ast.get_docstring(node) is None else ast.Module(body=node.body[1:], type_ignores=[])
    for child in ast.walk(kept):
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and id(child) not in left_out:
            parts = (part.strip(" ;:,.()'") for part in re.split(r"\{.*?\}", child.value))
            yield from (part for part in parts if re.search("[a-z]{2,} [a-z]{2,}", part))


@pytest.mark.parametrize("path", SPEAKERS)
def test_every_sentence_of_verdicts_gates_and_alarms_is_in_the_catalogue(path):
    tree = ast.parse((SOURCE / path).read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in SPEAKERS[path]]
    assert {f.name for f in functions} == set(SPEAKERS[path])
    known = [text for key, text in catalogue(DEFAULT).items() if key.startswith("sentence.")]
    said = {part for function in functions for part in _fixed_parts(function)} - NO_SENTENCES
    assert said
    assert {part for part in said if not any(part in text for text in known)} == set()


SAID = [
    "at or below the decision limit",
    "La is 0.0321 kg/kg, above the range of the standards (0.0005 to 0.03); matrix outside the calibration: Fe is 0.7 "
    "kg/kg, above the range set for the calibration (0.3 to 0.6); Ca is 0.2 kg/kg, above the range of the standards (0 "
    "to 0.1)",
    "poor fit: reduced deviance 12.3: something in the spectrum is not in the method; unmodelled line at 8.05 keV, "
    "probably Cu Kα or Ho Lβ (12 standard uncertainties); unmodelled line at 9.00 keV (8 standard uncertainties)",
    "parameter at bound: the floor of the background and the area of La L went to the limit of what has a meaning; the "
    "detector, or the method's lines, are not those of this spectrum",
    "the data cannot tell the area of La L from the line ratio 2 of Ba L: fix one of them, or take one element out of "
    "the method",
    "P1: dead time of condition Ka is 60.0 %, allowed 50.0 %; lower the current",
    "P1: the fit is not good: LL (poor fit: reduced deviance 5.0: something in the spectrum is not in the method); "
    "KK (reduced deviance 3.00, allowed 2.00)",
    "P1: the monitor has drifted: KK/Fe K +2.10 % (u 0.05 %), KK/Ti K -1.10 % (u 0.05 %), allowed 0.50 %; correct the "
    "drift, or calibrate",
    "duplicates P1, P2 of S1 disagree: La 1 % and 2 %, allowed difference 0.1 %; with P1 and P3 exchanged both pairs "
    "agree: were they swapped?",
    "duplicates P1, P2 of S1 disagree: Fe (range of 2 results 0.5 > 1 r = 0.2, measure a third time)",
    "S1 Fe 64.2 % (mean of 2); S2 Fe 63.1 % (median of 4)",
    "C1: En of La +3.1, Ce -2.2 against M1, allowed 1; the result agrees with M2: were specimens swapped?",
    "no suitable specimen was measured that this gate could look at; measure one and assay the batch again",
    "specimen 'P1' has another spectrum of the condition 'KK' in P1.csv. Keep one of them, or give repeated "
    "measurements names of their own.",
    "Do what the reason says, then run the same command again.",
]


@pytest.mark.parametrize("said", SAID)
def test_what_the_program_says_is_said_in_chinese(said):
    told = Texts("zh").sentence(said)
    assert set(re.findall(r"[A-Za-z]{3,}", told.replace(".csv", ""))) <= {"keV"}
    values = re.findall(r"[0-9]+(?:\.[0-9]+)?", said)
    assert [v for v in values if v not in told] == []
    assert Texts("en").sentence(said) == said


@pytest.mark.parametrize("said", ["ore.csv line 3: 4 columns; give names", "", "a and b", "x (y)", "La"])
def test_what_is_not_known_stays_as_it_is(said):
    assert Texts("zh").sentence(said) == said


def test_names_of_files_cannot_hold_the_bench_up():
    start = time.process_time()
    for said in ("a is " * 199, "from of and in is " * 55, "; : (" * 190, "a is " * 100_000):
        Texts("zh").sentence(said)
    assert time.process_time() - start < 1.0  # measured: 0.02 s
