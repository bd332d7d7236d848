"""Collinearity: known cases, natural ores, and what would help."""

import numpy as np
import pytest

from xrfree.documents.certificates import load_certificates
from xrfree.documents.shipped import shipped_path
from xrfree.errors import CalibrationError
from xrfree.regression.collinearity import collinearity, helpful_additions, require_determined
from xrfree.regression.observations import CONSTANT, Observations


def _of(columns, terms):
    x = np.column_stack(columns)
    return Observations.of([f"S{i}" for i in range(len(x))], terms, x.sum(axis=1), x)


def test_orthogonal_columns_do_not_inflate():
    a = np.array([1.0, -1.0, 1.0, -1.0])
    b = np.array([1.0, 1.0, -1.0, -1.0])
    found = collinearity(_of([np.ones(4), 3.0 + a, 5.0 + b], [CONSTANT, "a", "b"]))
    assert found.inflation == pytest.approx([1.0, 1.0], rel=1e-12)
    assert found.correlation == pytest.approx(np.eye(2), abs=1e-12)
    assert found.undetermined == ()


def test_inflation_is_that_of_auxiliary_regressions():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 3)) @ np.array([[1.0, 0.8, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 1.0]])
    found = collinearity(_of([np.ones(30), *x.T], [CONSTANT, "a", "b", "c"]))
    for i in range(3):
        others = np.column_stack([np.ones(30), np.delete(x, i, axis=1)])
        rest = x[:, i] - others @ np.linalg.lstsq(others, x[:, i], rcond=None)[0]
        explained = 1.0 - rest.var() / x[:, i].var()
        assert found.inflation[i] == pytest.approx(1.0 / (1.0 - explained), rel=1e-9)


def _ores():
    wanted = ("La", "Ce", "Pr", "Nd", "Sm")
    materials = [m for m in load_certificates(shipped_path("certificates")) if m.name.startswith("OREAS 46")]
    contents = {m.name: [m.element_values()[e].mass_fraction for e in wanted] for m in materials}
    x = np.array(list(contents.values()))
    return Observations.of(list(contents), wanted, x[:, 2], x)


def test_natural_ores_alone_are_refused_with_the_culprits():
    ores = _ores()
    assert len(ores.materials) == 6
    overlap = ores.with_terms(["La", "Ce", "Pr"])
    designed = {"mixture A": np.array([0.02, 0.0, 0.0]), "mixture B": np.array([0.0, 0.0, 0.004])}
    with pytest.raises(CalibrationError, match=r"Pr: the standards do not determine .*La.* correlate 0\.9") as problem:
        require_determined(overlap, analyte="Pr", candidates=designed)
    assert "mixture" in str(problem.value)
    with pytest.raises(CalibrationError, match="design-standards"):
        require_determined(overlap)


def test_a_designed_set_passes():
    rng = np.random.default_rng(1)
    x = rng.uniform(0.0, 0.03, (20, 3))
    designed = Observations.of([f"M{i}" for i in range(20)], ["La", "Ce", "Pr"], x[:, 2], x)
    found = require_determined(designed, analyte="Pr")
    assert found.inflation.max() < 5.0
    assert "correlate" in found.explain()


def test_the_addition_that_breaks_the_dependency_comes_first():
    a = np.linspace(1.0, 2.0, 8)
    rows = _of([a, 1.0001 * a + 0.001 * np.sin(np.arange(8))], ["La", "Ce"])
    proposals = {"alike": np.array([1.5, 1.5]), "La alone": np.array([1.5, 0.0]), "some": np.array([1.5, 1.4])}
    assert helpful_additions(rows, proposals)[0] == "La alone"


def test_a_term_that_never_varies_cannot_be_determined():
    with pytest.raises(CalibrationError, match="V is the same in all 5 standards"):
        collinearity(_of([np.ones(5), np.full(5, 0.3), np.arange(5.0)], [CONSTANT, "V", "La"]))
