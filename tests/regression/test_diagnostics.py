"""Leave-one-material-out, linearity, comparison of models, the robust first look."""

import time

import numpy as np
import pytest

from xrfree.errors import CalibrationError, DomainError
from xrfree.regression.diagnostics import compare, leave_one_material_out, linearity_test, robust_look
from xrfree.regression.observations import CONSTANT, Observations
from xrfree.regression.solve import ErrorLevel, fit


def _line(seed=0, *, n=15, bend=0.0, u=0.01, u_x=0.0, twice=False):
    rng = np.random.default_rng(seed)
    x = np.linspace(0.1, 2.0, n)
    names = [f"S{i // 2 if twice else i}" for i in range(n)]
    y = 0.05 + 1.3 * x + bend * x**2 + rng.normal(0.0, u, n)
    return Observations.of(
        names,
        [CONSTANT, "x"],
        y,
        np.column_stack([np.ones(n), x + rng.normal(0.0, 1.0, n) * u_x]),
        response_uncertainty=u,
        design_uncertainty=[0.0, u_x],
    )


def test_deleted_residuals_of_unit_weights_are_the_textbook_ones():
    """e_i / (1 - h_i) and Cook's h e²/(p s² (1 - h)²), without refitting anything."""
    rows = _line(3)
    found = fit(rows, level=ErrorLevel.ESTIMATED)
    left_out = leave_one_material_out(found)
    e, h = found.residual, found.leverage
    s = found.residual_scale * 0.01
    p, n = 2, len(e)
    assert [-r.difference for r in left_out.rows] == pytest.approx(e / (1.0 - h), rel=1e-8)
    cook = h * e**2 / (p * s**2 * (1.0 - h) ** 2)
    assert [r.cook_distance for r in left_out.rows] == pytest.approx(cook, rel=1e-8)
    s_deleted = np.sqrt(((n - p) * s**2 - e**2 / (1.0 - h)) / (n - p - 1))
    assert [r.deleted_residual for r in left_out.rows] == pytest.approx(e / (s_deleted * np.sqrt(1.0 - h)), rel=1e-8)
    assert found.standardised_residual == pytest.approx(e / (s * np.sqrt(1.0 - h)), rel=1e-8)


def test_all_rows_of_a_material_leave_together():
    rows = _line(3, twice=True)
    left_out = leave_one_material_out(fit(rows, scatter=0.0))
    others = rows.taking(np.flatnonzero([m != "S2" for m in rows.materials]))
    expected = others.with_terms(rows.terms)
    refit = fit(expected, scatter=0.0)
    mine = [r for r in left_out.rows if r.material == "S2"]
    assert len(mine) == 2
    for row in mine:
        assert row.predicted == pytest.approx(rows.design[row.row] @ refit.coefficients, rel=1e-12)


def test_a_material_that_alone_shows_a_term_is_named():
    rows = _line(3)
    only = np.zeros(15)
    only[4] = 1.0
    design = np.column_stack([rows.design, only])
    wide = Observations.of(rows.materials, [*rows.terms, "V"], rows.response, design, response_uncertainty=0.01)
    assert leave_one_material_out(fit(wide, scatter=0.0)).irreplaceable == ("S4",)


@pytest.mark.parametrize("u_x", [0.0, 0.01])
def test_linearity_test_is_right_as_often_as_it_says(u_x):
    false_alarms = [not linearity_test(fit(_line(seed, u_x=u_x)), "x").straight for seed in range(120)]
    # 5 % of 120 with 12 degrees of freedom: 6 ± 2.4.
    assert 0 <= sum(false_alarms) <= 14
    curved = [not linearity_test(fit(_line(seed, bend=0.05, u_x=u_x)), "x").straight for seed in range(20)]
    assert sum(curved) >= 15


def test_curvature_is_found_with_its_uncertainty():
    found = linearity_test(fit(_line(7, bend=0.1)), "x")
    assert found.curvature == pytest.approx(0.1, abs=3.0 * found.standard_uncertainty)
    assert found.standard_uncertainty < 0.02
    assert found.largest_bend == pytest.approx(0.1 * 1.9**2 / 8, rel=0.6)


def test_comparison_prefers_the_model_that_made_the_data():
    rng = np.random.default_rng(5)
    n = 20
    x = rng.uniform(0.1, 1.0, (n, 3))
    y = 1.2 * x[:, 0] + 0.2 * x[:, 1] + rng.normal(0.0, 0.005, n)
    names = [f"S{i}" for i in range(n)]
    full = Observations.of(names, ["a", "b", "c"], y, x, response_uncertainty=0.005, scatter_scale=0.0)
    scores = compare({"a": fit(full.with_terms(["a"])), "ab": fit(full.with_terms(["a", "b"])), "abc": fit(full)})
    assert scores[0].name in {"ab", "abc"}
    assert scores[-1].name == "a"
    by_name = {score.name: score for score in scores}
    assert by_name["ab"].aicc < by_name["a"].aicc
    assert by_name["ab"].aicc < by_name["abc"].aicc
    other = Observations.of(names, ["a"], y + 1.0, x[:, :1])
    with pytest.raises(DomainError, match="same standards"):
        compare({"one": fit(full), "other": fit(other)})


def test_the_first_look_is_not_bent_by_bad_rows():
    rows = _line(2, n=21)
    y = rows.response.copy()
    y[[3, 11]] += [0.5, -0.8]
    spoilt = Observations.of(rows.materials, rows.terms, y, rows.design, response_uncertainty=0.01)
    look = robust_look(spoilt)
    assert set(look.suspects) == {"S3", "S11"}
    assert look.coefficients == pytest.approx([0.05, 1.3], abs=0.02)


def test_a_hundred_standards_within_a_second():
    rng = np.random.default_rng(5)
    n, p = 100, 8
    x = rng.uniform(0.01, 0.05, (n, p))
    rows = Observations.of(
        [f"S{i}" for i in range(n)],
        [f"t{i}" for i in range(p)],
        x @ np.linspace(1.0, 0.1, p) * (1.0 + rng.normal(0.0, 0.01, n)),
        x,
        response_uncertainty=1e-4,
        design_uncertainty=1e-4,
        scatter_scale=1e-2,
    )
    took = []
    for _ in range(3):  # what a busy neighbour adds is not the regression's
        start = time.process_time()
        left_out = leave_one_material_out(fit(rows))
        took.append(time.process_time() - start)
        assert len(left_out.rows) == n
    assert min(took) < 1.0


def test_nothing_can_be_left_out_of_too_few():
    rows = _line(1, n=2)
    with pytest.raises(CalibrationError, match="no material can be left out"):
        leave_one_material_out(fit(rows, scatter=0.0))
