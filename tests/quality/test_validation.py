from __future__ import annotations

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.validation import (
    USUAL_INTERFERENTS,
    USUAL_LIMITS,
    Criterion,
    Data,
    Judgement,
    Measured,
    Value,
    evaluate,
)

RELATIVE, ABSOLUTE = 0.01, 2e-5


def value(content: float, error: float = 0.0) -> Value:
    u = float(np.hypot(RELATIVE * content, ABSOLUTE))
    return Value(
        content=content + error * u, u=u, repeating=u, decision_limit=2.5 * ABSOLUTE, detection_limit=5.0 * ABSOLUTE
    )


def measured(specimen: str, purpose: str, content: float, error: float = 0.0, **fields) -> Measured:
    return Measured(
        specimen=specimen,
        content=0.02 if fields.get("interferent") else 0.0,
        purpose=purpose,
        material=fields.pop("material", "M"),
        found={"La": value(content, error)},
        **fields,
    )


def criterion(kind: str, wanted: tuple[str, ...] = (), **limits: float) -> Criterion:
    stated = {**USUAL_LIMITS[kind], **limits}
    return Criterion(name=kind, kind=kind, components=("La",), limits=stated, wanted=wanted)


def judged(kind: str, rows: list[Measured], wanted: tuple[str, ...] = (), limits=None, **data):
    return evaluate(criterion(kind, wanted, **(limits or {})), Data(measured=tuple(rows), **data))


CONTENTS = (0.001, 0.003, 0.01, 0.02, 0.05)
REFERENCES = {f"M{i}": {"La": (w, 0.02 * w)} for i, w in enumerate(CONTENTS)}


def of_references(errors=(0.0,) * 5, curve: float = 0.0) -> list[Measured]:
    return [
        measured(f"S{i}", "trueness", w + curve * w * w, e, material=f"M{i}")
        for i, (w, e) in enumerate(zip(CONTENTS, errors, strict=True))
    ]


def test_trueness_by_en():
    assert (
        judged("trueness", of_references((0.5, -0.8, 1.0, 0.0, -0.3)), references=REFERENCES).judgement
        is Judgement.PASS
    )
    found = judged("trueness", of_references((6.0, 0.0, 0.0, 0.0, 0.0)), references=REFERENCES)
    assert found.judgement is Judgement.FAIL
    assert [o.subject for o in found.outcomes if o.judgement is Judgement.FAIL] == ["M0"]
    few = judged("trueness", of_references()[:2], references=REFERENCES)
    assert few.judgement is Judgement.MISSING
    assert few.missing == ("1 more reference materials with a certified content of La",)


def test_linearity():
    assert judged("linearity", of_references(), references=REFERENCES).judgement is Judgement.PASS
    assert judged("linearity", of_references(curve=3.0), references=REFERENCES).judgement is Judgement.FAIL
    assert judged("linearity", of_references()[:3], references=REFERENCES).judgement is Judgement.MISSING


def series(between: float, within: float, n: int = 5, repeats: int = 4) -> list[Measured]:
    """Results whose scatter is as given, in units of their uncertainty."""
    generator = np.random.default_rng(17)
    days = between * generator.standard_normal(n)
    return [
        measured(f"D{d}-{r}", "precision", 0.01, days[d] + within * generator.standard_normal(), series=f"day {d}")
        for d in range(n)
        for r in range(repeats)
    ]


def test_precision():
    assert judged("precision", series(0.5, 1.0)).judgement is Judgement.PASS
    assert judged("precision", series(8.0, 1.0)).judgement is Judgement.FAIL
    assert judged("precision", series(0.5, 1.0, n=3)).missing == ("2 more series of M",)
    assert judged("precision", []).judgement is Judgement.MISSING


def test_stated_uncertainty_against_scatter():
    assert judged("uncertainty", series(0.5, 1.0)).judgement is Judgement.PASS
    assert judged("uncertainty", series(0.5, 3.0)).judgement is Judgement.FAIL
    assert judged("uncertainty", series(0.5, 1.0)[:3]).judgement is Judgement.MISSING


def test_limits_from_blanks():
    generator = np.random.default_rng(18)
    blanks = [measured(f"B{i}", "blank", 0.0, generator.standard_normal()) for i in range(12)]
    found = judged("limits", [*blanks, *of_references()])
    assert found.judgement is Judgement.PASS
    # u = 10 % of w where (0.01 w)^2 + (2e-5)^2 = (0.1 w)^2: w = 201 mg/kg.
    assert "quantification limit 201 mg/kg" in found.outcomes[0].statement
    strict = judged("limits", [*blanks, *of_references()], limits={"highest_detection_limit": 5e-5})
    assert strict.judgement is Judgement.FAIL
    dirty = [measured(f"B{i}", "blank", 1e-3) for i in range(12)]
    assert judged("limits", dirty).judgement is Judgement.FAIL
    assert "9 more blanks" in judged("limits", blanks[:1]).missing


def test_selectivity_asks_for_every_interferent():
    generator = np.random.default_rng(19)
    replicas = [
        measured(f"I{e}{k}", "interference", 0.0, generator.standard_normal(), interferent=e)
        for e in USUAL_INTERFERENTS
        for k in range(20)
    ]
    assert judged("selectivity", replicas, USUAL_INTERFERENTS).judgement is Judgement.PASS
    without = [m for m in replicas if m.interferent != "Ba"]
    assert judged("selectivity", without, USUAL_INTERFERENTS).missing == ("interference test of Ba",)
    shifted = [*without, *(measured(f"x{k}", "interference", 1e-3, interferent="Ba") for k in range(20))]
    assert judged("selectivity", shifted, USUAL_INTERFERENTS).judgement is Judgement.FAIL


def test_robustness_against_the_nominal_series():
    nominal = [measured(f"N{k}", "robustness", 0.01, series="nominal") for k in range(4)]
    small = [measured(f"E{k}", "robustness", 0.01005, series="energy shift") for k in range(4)]
    large = [measured(f"L{k}", "robustness", 0.0105, series="energy shift") for k in range(4)]
    assert judged("robustness", nominal + small, ("energy shift",)).judgement is Judgement.PASS
    assert judged("robustness", nominal + large, ("energy shift",)).judgement is Judgement.FAIL
    assert judged("robustness", nominal + small, ("energy shift", "time")).missing == ("robustness test: time",)
    assert "series 'nominal'" in judged("robustness", small, ()).missing[0]


def test_comparison_with_another_method():
    generator = np.random.default_rng(20)
    contents = np.geomspace(0.001, 0.05, 15)
    rows = [measured(f"C{i}", "trueness", w, generator.standard_normal()) for i, w in enumerate(contents)]
    other = {f"C{i}": {"La": (w * (1 + 0.01 * generator.standard_normal()), 0.01 * w)} for i, w in enumerate(contents)}
    assert judged("comparison", rows, other_method=other).judgement is Judgement.PASS
    low = {name: {"La": (0.9 * v["La"][0], v["La"][1])} for name, v in other.items()}
    assert judged("comparison", rows, other_method=low).judgement is Judgement.FAIL
    assert judged("comparison", rows[:5], other_method=other).judgement is Judgement.MISSING


def test_planned_measurements_without_results_are_named():
    planned = Measured(specimen="D9-1", purpose="precision", material="M", series="day 9")
    found = judged("precision", [*series(0.5, 1.0), planned])
    assert found.missing == ("D9-1 (M)",)
    assert found.judgement is Judgement.MISSING


def test_an_unknown_kind_is_refused():
    with pytest.raises(DomainError, match="no criterion"):
        evaluate(Criterion(name="x", kind="beauty", components=(), limits={}), Data(measured=()))
