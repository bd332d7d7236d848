"""Models one by one: terms, how many standards they need, and what they find."""

from dataclasses import replace

import numpy as np
import pytest

from xrfree.areas import FitCurve, FitVerdict, NetAreas
from xrfree.calibration import CurveModel, ModelKind
from xrfree.curves.assaying import line_contents
from xrfree.curves.calibrating import Standard, fit_curve, observations_of
from xrfree.curves.models import Factors, terms_of
from xrfree.curves.pls import pls_comparison
from xrfree.curves.rates import LineRates, rates_of_areas
from xrfree.errors import CalibrationError, DomainError, NotConvergedError
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue
from xrfree.regression.observations import Exclusion
from xrfree.specimen import Specimen, SpecimenForm

POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.4)
U = 0.003


def _value(element, content, *, assigned_by=Assignment.FUSION, basis=Basis.DRY):
    return ReferenceValue(
        component=element,
        mass_fraction=content,
        expanded_uncertainty=2.0 * U * content,
        coverage_factor=2.0,
        assigned_by=assigned_by,
        basis=basis,
    )


def _standards(rate_of, *, n=18, seed=0, **how):
    """Standards of independent La, Fe and Ca; `rate_of(La, Fe, Ca)` gives rates of lines."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        la, fe, ca = rng.uniform(0.001, 0.03), rng.uniform(0.2, 0.6), rng.uniform(0.01, 0.2)
        rates = {line: rate * (1.0 + 2e-4 * rng.normal()) for line, rate in rate_of(la, fe, ca).items()}
        truth = {"La": la, "Fe": fe, "Ca": ca}
        material = ReferenceMaterial(
            name=f"S{i}", values=tuple(_value(e, w * (1.0 + U * rng.normal()), **how) for e, w in truth.items())
        )
        found.append(Standard(material=material, specimen=POWDER, rates=_rates(f"S{i}", rates)))
    return found


def _rates(name, rates):
    rate = np.array(list(rates.values()))
    return LineRates(
        specimen=name,
        lines=tuple(rates),
        rate=rate,
        covariance=np.diag((2e-4 * rate) ** 2),
        variance_at_zero=np.ones(len(rate)),
    )


def _absorbed(la, fe, ca):
    return {"La": 1e6 * la / (1.0 + 1.5 * fe - 0.6 * ca), "Fe": 1e5 * fe, "Ca": 5e4 * ca}


def test_terms_are_those_of_the_formula():
    rates = _rates("x", {"La": 100.0, "Ba": 40.0, "Rh-C": 20.0})
    contents = {"La": 0.01, "Fe": 0.5}
    empirical = CurveModel(
        analyte="La",
        line="La",
        kind=ModelKind.EMPIRICAL,
        overlaps=("Ba",),
        influencing_elements=("Fe",),
        influencing_lines=("Ba",),
    )
    assert terms_of(empirical, rates, contents, Factors()) == pytest.approx([1.0, 100.0, 40.0, 50.0, 4000.0])
    assert len(empirical.terms) == 5
    compton = CurveModel(analyte="La", line="La", kind=ModelKind.COMPTON, compton_line="Rh-C", constant=False)
    assert terms_of(compton, rates, contents, Factors()) == pytest.approx([5.0])
    alphas = CurveModel(analyte="La", line="La", kind=ModelKind.THEORETICAL_ALPHAS, alphas={"Fe": 1.5, "Si": 3.0})
    assert terms_of(alphas, rates, contents, Factors()) == pytest.approx([1.75, 175.0])
    theory = CurveModel(analyte="La", line="La", kind=ModelKind.FUNDAMENTAL, constant=False)
    assert terms_of(theory, rates, contents, Factors(lambda line, w: 2.0)) == pytest.approx([50.0])
    with pytest.raises(CalibrationError, match="give the instrument"):
        terms_of(theory, rates, contents, Factors())


def test_empirical_coefficients_are_found():
    model = CurveModel(
        analyte="La", line="La", kind=ModelKind.EMPIRICAL, constant=False, influencing_elements=("Fe", "Ca")
    )
    found = fit_curve(model, _standards(_absorbed), Factors())
    truth = np.array([1e-6, 1.5e-6, -0.6e-6])
    pulls = (found.curve.coefficients - truth) / np.sqrt(np.diag(found.curve.covariance))
    assert np.abs(pulls).max() < 3.0
    assert found.left_out.rms < 0.01 * 0.03


def test_a_model_with_alphas_leaves_nothing_but_the_certificates():
    model = CurveModel(
        analyte="La", line="La", kind=ModelKind.THEORETICAL_ALPHAS, constant=False, alphas={"Fe": 1.5, "Ca": -0.6}
    )
    found = fit_curve(model, _standards(_absorbed), Factors())
    assert found.curve.coefficients[0] == pytest.approx(1e-6, rel=0.004)
    assert 0.6 < found.left_out.rms_deleted < 1.4
    plain = fit_curve(CurveModel(analyte="La", line="La", kind=ModelKind.NONE), _standards(_absorbed), Factors())
    assert plain.left_out.rms > 5.0 * found.left_out.rms
    assert plain.regression.goodness < 1e-6


def test_the_compton_ratio_cancels_what_both_lines_lose():
    def rate_of(la, fe, ca):
        lost = 1.0 + 2.0 * fe
        return {"La": 1e6 * la / lost, "Rh-C": 1e4 / lost}

    model = CurveModel(analyte="La", line="La", kind=ModelKind.COMPTON, compton_line="Rh-C", constant=False)
    found = fit_curve(model, _standards(rate_of), Factors())
    assert found.curve.coefficients[0] == pytest.approx(0.01, rel=0.005)


def test_an_empirical_line_influence_is_found():
    def rate_of(la, fe, ca):
        return {"La": 1e6 * la * (1.0 - 4e-6 * 1e5 * fe), "Fe": 1e5 * fe}

    model = CurveModel(analyte="La", line="La", kind=ModelKind.EMPIRICAL, constant=False, influencing_lines=("Fe",))
    found = fit_curve(model, _standards(rate_of), Factors())
    assert found.left_out.rms < 0.03 * 0.03


def test_a_model_says_how_many_standards_it_needs():
    standards = _standards(_absorbed, n=5)
    empirical = CurveModel(analyte="La", line="La", kind=ModelKind.EMPIRICAL, influencing_elements=("Fe",))
    assert empirical.fewest_standards == 9
    with pytest.raises(CalibrationError, match=r"3 coefficients .* needs 9 reference materials; 5 have"):
        fit_curve(empirical, standards, Factors())
    line = CurveModel(analyte="La", line="La", kind=ModelKind.NONE)
    assert line.fewest_standards == 4
    out = [Exclusion(material=f"S{i}", reason="cracked") for i in range(2)]
    with pytest.raises(CalibrationError, match="needs 4 reference materials; 3 have"):
        fit_curve(line, standards, Factors(), exclusions=out)


def test_repeats_of_one_material_do_not_count_as_standards():
    standards = _standards(_absorbed, n=3)
    line = CurveModel(analyte="La", line="La", kind=ModelKind.NONE)
    with pytest.raises(CalibrationError, match="3 have"):
        fit_curve(line, standards * 3, Factors())


def test_the_error_of_a_certificate_is_common_to_its_repeats():
    standards = _standards(_absorbed, n=6)
    line = CurveModel(analyte="La", line="La", kind=ModelKind.NONE)
    once = observations_of(line, standards, Factors())
    twice = observations_of(line, standards + standards, Factors())
    assert once.shared.shape[0] == 0
    assert twice.shared.shape[0] == 6
    assert np.einsum("mij->ij", twice.shared**2)[:6, 0] == pytest.approx(once.covariance[:, 0, 0])


def test_four_acid_values_take_no_part():
    standards = _standards(_absorbed, assigned_by=Assignment.FOUR_ACID)
    line = CurveModel(analyte="La", line="La", kind=ModelKind.NONE)
    with pytest.raises(CalibrationError, match="0 have a usable value"):
        fit_curve(line, standards, Factors())
    forced = [replace(standard, force_digestion=True) for standard in standards]
    assert fit_curve(line, forced, Factors()).curve.n_standards == 18


def test_collinear_standards_are_refused():
    rng = np.random.default_rng(4)
    standards = []
    for i in range(14):
        la = rng.uniform(0.001, 0.03)
        rates = {"La": 1e6 * la, "Ce": 1.9e6 * la * (1.0 + 1e-3 * rng.normal()), "Pr": 1e5 * la}
        material = ReferenceMaterial(name=f"N{i}", values=(_value("Pr", 0.1 * la),))
        standards.append(Standard(material=material, specimen=POWDER, rates=_rates(f"N{i}", rates)))
    model = CurveModel(analyte="Pr", line="Pr", kind=ModelKind.NONE, overlaps=("La", "Ce"))
    with pytest.raises(CalibrationError, match=r"Pr: the standards do not determine the coefficients of .*La"):
        fit_curve(model, standards, Factors())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": ModelKind.EMPIRICAL},
        {"kind": ModelKind.NONE, "influencing_elements": ("Fe",)},
        {"kind": ModelKind.COMPTON},
        {"kind": ModelKind.NONE, "alphas": {"Fe": 1.0}},
        {"kind": ModelKind.NONE, "overlaps": ("La",)},
    ],
)
def test_terms_that_do_not_belong_together_are_refused(wrong):
    with pytest.raises(DomainError):
        CurveModel(analyte="La", line="La", **wrong)


def test_values_of_different_bases_are_refused():
    material = ReferenceMaterial(name="S", values=(_value("La", 0.01), _value("Fe", 0.5, basis=Basis.IGNITED)))
    with pytest.raises(CalibrationError, match="different bases"):
        Standard(material=material, specimen=POWDER, rates=_rates("S", {"La": 1.0})).contents()


def test_runaway_influence_is_told():
    curve = fit_curve(
        CurveModel(
            analyte="La", line="La", kind=ModelKind.THEORETICAL_ALPHAS, constant=False, alphas={"Fe": 1.5, "Ca": -0.6}
        ),
        _standards(_absorbed),
        Factors(),
    ).curve
    broken = type(curve)(
        model=CurveModel(
            analyte="La", line="La", kind=ModelKind.THEORETICAL_ALPHAS, constant=False, alphas={"La": 60.0}
        ),
        coefficients=curve.coefficients,
        covariance=curve.covariance,
        scatter=0.0,
        scatter_floor=0.0,
        chi_square=1.0,
        n_standards=18,
        leave_one_out_rms=1e-4,
    )
    with pytest.raises(NotConvergedError):
        line_contents(_rates("x", {"La": 3e4}), [broken], Factors())


def test_partial_least_squares_compares():
    pytest.importorskip("sklearn")
    found = pls_comparison("La", _standards(_absorbed))
    assert found.leave_one_out_rms < 0.03 * 0.05
    assert found.n_standards == 18
    with pytest.raises(CalibrationError, match="needs 8 reference materials"):
        pls_comparison("La", _standards(_absorbed, n=5))


def test_fitted_areas_are_on_the_same_path():
    nothing = np.zeros(1)
    curve = FitCurve(energy_kev=nothing, counts=nothing, expected=nothing, background=nothing)
    areas = NetAreas(
        condition="low",
        region="band",
        groups=("La L", "Ce L"),
        area=np.array([5000.0, 900.0]),
        covariance=np.array([[6000.0, -100.0], [-100.0, 1500.0]]),
        counting_covariance=np.diag([5000.0, 900.0]),
        response_covariance=np.zeros((2, 2)),
        variance_at_zero=np.array([100.0, 100.0]),
        live_time_s=10.0,
        survival=1.0,
        reduced_deviance=1.0,
        verdict=FitVerdict.GOOD,
        reason="",
        parameters={},
        curve=curve,
    )
    rates = rates_of_areas("ore", [areas])
    assert rates.lines == ("low/band/La L", "low/band/Ce L")
    assert rates.rate == pytest.approx([500.0, 90.0])
    assert rates.covariance[0, 1] == pytest.approx(-1.0)


def test_what_would_help_is_named():
    rng = np.random.default_rng(4)
    standards = []
    for i in range(14):
        la = rng.uniform(0.001, 0.03)
        pr = 0.1 * la * (1.0 + 1e-3 * rng.normal())
        material = ReferenceMaterial(name=f"N{i}", values=(_value("Pr", pr), _value("La", la)))
        rates = {"La": 1e6 * la, "Pr": 2e6 * pr + 2e5 * la}
        standards.append(Standard(material=material, specimen=POWDER, rates=_rates(f"N{i}", rates)))
    model = CurveModel(analyte="Pr", line="Pr", kind=ModelKind.NONE, overlaps=("La",))
    alike = {"La": 0.01, "Pr": 0.001}
    with pytest.raises(CalibrationError, match=r"add one of La alone\."):
        fit_curve(
            model,
            standards,
            Factors(),
            candidates={"another ore": alike, "La alone": {"La": 0.03}},
            element_of={"La": "La", "Pr": "Pr"},
        )
