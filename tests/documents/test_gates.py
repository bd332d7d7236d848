from __future__ import annotations

from pathlib import Path

import pytest

from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DocumentError
from xrfree.gates import Action, DuplicateGate, PeakGate

SHIPPED = shipped_path("methods", "iron-ore-edxrf.toml")

EVERY_KIND = """
[[gates]]
name = "iron line"
kind = "instrument check"
condition = "low"
element = "Fe"
highest_shift_ev = 8.0
highest_fwhm_ev = 150.0

[[gates]]
name = "dead time"
kind = "dead time"
action = "warn"
condition = "low"
highest = 0.5

[[gates]]
name = "tube"
kind = "tube line"
condition = "high"
window_kev = [18.5, 21.0]
reference_per_s = 2000.0
tolerance = 0.02

[[gates]]
name = "drift"
kind = "drift monitor"
reference_per_s = { "low/Fe K" = 41000.0 }
tolerance = 0.01

[[gates]]
name = "blank"
kind = "blank"
highest = { La = 5e-5 }

[[gates]]
name = "check"
kind = "check standard"
score = "zeta"
limit = 3.0
required = true

[[gates]]
name = "check by laboratories"
kind = "check standard"
score = "C"
repeatability = { La = [0.02, 2e-5] }
reproducibility = { La = [0.04, 4e-5] }

[[gates]]
name = "duplicates"
kind = "duplicates"
repeatability = { La = [0.02, 2e-5] }
dz_t_grade = 1.0

[[gates]]
name = "range"
kind = "range of validity"
ranges = { La = [0.0, 0.06] }

[[gates]]
name = "fits"
kind = "fit"

[[gates]]
name = "sum"
kind = "element sum"
low = 0.8
high = 1.02

[[gates]]
name = "series"
kind = "line series"
pairs = [["Nb K", "Nb L"]]

[[gates]]
name = "pattern"
kind = "rare-earth pattern"
tolerance = { Pr = 0.12, Sm = 1.0 }
roles = ["unknown"]
"""


def method_with(tmp_path: Path, gates: str) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    path = tmp_path / "method.toml"
    path.write_text(text + gates, encoding="utf-8")
    return path


def test_every_kind_is_read(tmp_path):
    method = load_method(method_with(tmp_path, EVERY_KIND))
    by_name = {gate.name: gate for gate in method.gates}
    assert len(by_name) == 13
    assert by_name["check by laboratories"].reproducibility == {"La": (0.04, 4e-5)}
    iron = by_name["iron line"]
    assert isinstance(iron, PeakGate)
    assert (iron.highest_shift_kev, iron.highest_fwhm_kev, iron.roles) == (pytest.approx(0.008), 0.15, ())
    assert by_name["dead time"].action is Action.WARN
    assert by_name["drift"].roles == ("monitor",)
    assert by_name["check"].required
    assert by_name["pattern"].roles == ("unknown",)
    duplicates = by_name["duplicates"]
    assert isinstance(duplicates, DuplicateGate)
    assert duplicates.repeatability == {"La": (0.02, 2e-5)}


def test_gates_change_no_result_and_no_identity(tmp_path):
    without = load_method(method_with(tmp_path, ""))
    assert load_method(method_with(tmp_path, EVERY_KIND)).sha256 == without.sha256
    assert without.gates == ()


@pytest.mark.parametrize(
    ("gates", "place", "words"),
    [
        ('[[gates]]\nname = "x"\nkind = "nonsense"\n', "gates[0]", "nonsense"),
        ('[[gates]]\nname = "x"\nkind = "dead time"\ncondition = "low"\nhighest = 2.0\n', "gates[0]", "highest"),
        ('[[gates]]\nname = "x"\nkind = "fit"\ncolour = 1\n', "gates[0]", "colour"),
        ('[[gates]]\nname = "x"\nkind = "element sum"\nlow = 1.0\nhigh = 0.5\n', "gates[0]", "low below high"),
        ('[[gates]]\nname = "x"\nkind = "dead time"\ncondition = "no"\nhighest = 0.5\n', "", "condition 'no'"),
    ],
)
def test_wrong_gates_name_their_place(tmp_path, gates, place, words):
    with pytest.raises(DocumentError) as caught:
        load_method(method_with(tmp_path, gates))
    assert place in str(caught.value)
    assert words in str(caught.value)
