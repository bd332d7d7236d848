"""Hundreds of mangled documents of each kind: nothing but our own errors comes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfree.documents.calibration import load_calibration
from xrfree.documents.certificates import load_certificate
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.documents.specimens import load_specimens
from xrfree.errors import XrfreeError

TOKENS = (
    "nan", "-inf", "-1", "0", "1e400", "1e308", "-1e308", "1e-320", "0x10", "9" * 400, "9" * 5000, "-0.0",
    "true", '""', '"La"', '"La L3"', '"Lq L"', '"\\u0000"', '"La\\u0000"', "[]", "{}", "[[]]", "[" * 3000,
    "1979-05-27", "07:32:00", "\ud7ff", "é", "\0", "\x85", "\u2028", "\u0661", '"', "'", "=", ".", ",", ";",
    "\t", "#", "[x]", "[[regions]]", "{ x = 1 }", '"F-O"', '"("', '"Fe2O3\\n"', '"a/b"', "1,5", "1_0",
)  # fmt: skip

CALIBRATION = """schema = "xrfree/calibration/1"
name = "May"
tables = "xraylib 4.1.5"
instrument_sha256 = ""
method_sha256 = ""
created = "2025-05-02"
software_version = "0.1.0"
covariance = [[1.6e-05]]
[[sensitivities]]
group = "low/band/La L"
log_sensitivity = 7.1
blank = -1e-6
blank_uncertainty = 2e-6
blank_correlation = 0.1
relative_scatter = 0.0
absolute_scatter = 0
"""
CALIBRATED = """
[log_scale]
low = -20.1
"low/La L" = -20.2

[line_ratios]
clusters = ["La L2-M4,5", "La L3-N4,5"]
deviation = [0.01, -0.02]
covariance = [[4e-4], [1e-4, 9e-4]]
"""
CERTIFICATE = """schema = "xrfree/certificate/1"
name = "Ore"
date = 2024-05-02
basis = "dry"
values = [
    { component = "Ce", mass_fraction = 0.0018, between_laboratory_sd = 7e-05, assigned_by = "fusion" },
    { component = "SiO2", mass_fraction = 0.498, expanded_uncertainty = 0.004, coverage_factor = 2.0 },
]
"""
SPECIMENS = """specimen,role,form,density_g_cm3,thickness_cm,loss_on_ignition,flux,sample_g,flux_g,ignited_mass_per_g_sample,formula
P01,standard,pressed powder,3.2,0.5,0.157,,,,,
B01,standard,fused bead,2.4,0.3,0.157,Li2B4O7:LiBO2 12:22,0.66,7.2,0.85,
Fe2O3,pure,pressed powder,3.2,0.5,,,,,,Fe2O3
mixture,,pressed powder,3.2,0.5,,,,,,Fe2O3:0.8 SiO2:0.2
"""  # noqa: E501


def example(name: str) -> str:
    """A document as a person writes it, without the comments."""
    folder = {"instrument": "instruments/example-edxrf.toml", "method": "methods/iron-ore-edxrf.toml"}[name]
    lines = shipped_path(*folder.split("/")).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "instrument": (load_instrument, example("instrument") + CALIBRATED),
    "method": (load_method, example("method")),
    "calibration": (load_calibration, CALIBRATION),
    "certificate": (load_certificate, CERTIFICATE),
    "specimens": (load_specimens, SPECIMENS),
}


def insert(text: str, place: int, token: str) -> str:
    return text[:place] + token + text[place:]


def delete(text: str, place: int, token: str) -> str:
    return text[:place] + text[place + 1 + len(token) % 40 :]


def replace_field(text: str, place: int, token: str) -> str:
    field = re.compile(r"""(?<=[=\[,{;] )[^\s,;\]}]+|"[^"]*"|(?<=,)[^,\n]*""").search(text, place)
    return text[: field.start()] + token + text[field.end() :] if field else text + token


def move_line(text: str, place: int, token: str) -> str:
    lines = text.split("\n")
    lines.insert(place // 7 % len(lines), lines.pop(place % len(lines)))
    return "\n".join(lines)


def repeat_line(text: str, place: int, token: str) -> str:
    lines = text.split("\n")
    return "\n".join([*lines[: place % len(lines) + 1], *lines[place % len(lines) :]])


EDITS = st.tuples(
    st.sampled_from([replace_field, replace_field, replace_field, insert, delete, move_line, repeat_line]),
    st.integers(0, 2**20),
    st.sampled_from(TOKENS),
)


def refusal(load: Callable[[Path], object], path: Path) -> str:
    """What our own error says; empty where the document is read."""
    try:
        load(path)
    except XrfreeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", CASES)
def test_only_our_errors_come_out(tmp_path: Path, name: str) -> None:
    load, text = CASES[name]
    path = tmp_path / "document"
    refused = 0

    @settings(max_examples=300, database=None)
    @given(st.lists(EDITS, min_size=1, max_size=3))
    def check(edits: list[tuple[Callable[[str, int, str], str], int, str]]) -> None:
        nonlocal refused
        mangled = text
        for change, place, token in edits:
            mangled = change(mangled, place % (len(mangled) + 1), token)
        path.write_text(mangled, encoding="utf-8")
        message = refusal(load, path)
        refused += bool(message)
        assert not message or message.startswith("document")

    check()
    assert refused > 50
