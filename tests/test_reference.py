"""Reference values and materials: what is refused, how uncertainty is read, how oxides become elements."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.errors import DomainError
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue, ValueKind

OXIDES = {"La2O3": "La", "CeO2": "Ce", "Pr6O11": "Pr", "Nd2O3": "Nd", "Sm2O3": "Sm", "Nb2O5": "Nb"}


def value(component: str = "Ce", mass_fraction: float = 0.02, **fields: object) -> ReferenceValue:
    stated: dict[str, object] = {"expanded_uncertainty": 0.001, "coverage_factor": 2.0, "basis": Basis.DRY}
    return ReferenceValue(component=component, mass_fraction=mass_fraction, **(stated | fields))


def material(*values: ReferenceValue, name: str = "ore-1") -> ReferenceMaterial:
    return ReferenceMaterial(name=name, values=values)


def test_standard_uncertainty_is_expanded_uncertainty_over_coverage_factor():
    assert value(expanded_uncertainty=0.003, coverage_factor=3.0).standard_uncertainty == pytest.approx(0.001)


def test_between_laboratory_sd_stands_in_for_an_unstated_uncertainty():
    only_sd = value(expanded_uncertainty=None, coverage_factor=None, between_laboratory_sd=0.002)
    assert only_sd.standard_uncertainty == 0.002


def test_stated_uncertainty_has_precedence_over_between_laboratory_sd():
    assert value(between_laboratory_sd=0.02).standard_uncertainty == 0.0005


def test_value_is_certified_unless_said_otherwise():
    assert value().kind is ValueKind.CERTIFIED
    assert value().assigned_by is Assignment.NOT_STATED


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mass_fraction": 48.1}, r"Ce: mass fraction is 48.1, expected 0 to 1 kg/kg \(divide % by 100\)"),
        ({"mass_fraction": -0.001}, "mass fraction is -0.001"),
        ({"mass_fraction": float("nan")}, "mass fraction is nan"),
        ({"expanded_uncertainty": -0.1}, "expanded uncertainty is -0.1"),
        ({"expanded_uncertainty": float("nan")}, "expanded uncertainty is nan"),
        ({"between_laboratory_sd": 3.0}, "between-laboratory SD is 3.0"),
        ({"coverage_factor": 0.0}, "coverage factor is 0.0"),
        ({"coverage_factor": None}, "belong together"),
        ({"expanded_uncertainty": None}, "has no uncertainty"),
        ({"expanded_uncertainty": None, "coverage_factor": None}, "has no uncertainty"),
        ({"expanded_uncertainty": None, "between_laboratory_sd": 0.1}, "belong together"),
        ({"component": "CE"}, "component 'CE' is neither an element, nor a formula, nor LOI"),
        ({"component": "cerium"}, "component 'cerium'"),
        ({"component": ""}, "component ''"),
        ({"component": "Ce "}, "component 'Ce '"),
    ],
)
def test_impossible_value_is_refused_with_what_was_found(fields, message):
    with pytest.raises(DomainError, match=message):
        value(**fields)


def test_only_loss_on_ignition_may_be_negative():
    assert value("LOI", -0.012).mass_fraction == -0.012
    with pytest.raises(DomainError, match=r"LOI: mass fraction is -1.5, expected -1 to 1"):
        value("LOI", -1.5)


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        ((), "ore-1", "ore-1: a reference material needs at least one value"),
        ((value(),), " ", "needs a name"),
        ((value(), value("La"), value()), "ore-1", "ore-1: Ce given more than once"),
    ],
    ids=["no values", "no name", "twice"],
)
def test_incomplete_material_is_refused(values, name, message):
    with pytest.raises(DomainError, match=message):
        material(*values, name=name)


def test_value_is_found_by_its_component():
    ore = material(value("Ce"), value("Fe2O3", 0.5))
    assert ore["Fe2O3"].mass_fraction == 0.5
    with pytest.raises(KeyError, match="ore-1 has no reference value for Fe"):
        ore["Fe"]


@pytest.mark.parametrize("component", ["La", "Ce", "Sm", "Lu", "Y", "Nb", "Nb2O5", "CeO2", "Zr", "Th", "TiO2"])
def test_four_acid_value_of_a_resistant_element_is_refused_unless_forced(component):
    digested = value(component, assigned_by=Assignment.FOUR_ACID)
    ore = material(digested, value("Fe", assigned_by=Assignment.FOUR_ACID))
    assert [v.component for v in ore.usable_values()] == ["Fe"]
    assert ore.refused_values() == (digested,)
    assert ore.usable_values(force_digestion=True) == ore.values


@pytest.mark.parametrize("component", ["Fe", "Ce", "SiO2"])
def test_aqua_regia_value_is_refused_unless_forced(component):
    ore = material(value(component, assigned_by=Assignment.AQUA_REGIA))
    assert ore.usable_values() == ()
    assert ore.usable_values(force_digestion=True) == ore.values


@pytest.mark.parametrize("method", sorted(set(Assignment) - {Assignment.FOUR_ACID, Assignment.AQUA_REGIA}))
def test_value_by_any_other_method_is_usable(method):
    ore = material(value("Ce", assigned_by=method))
    assert ore.usable_values() == ore.values
    assert ore.refused_values() == ()


@given(
    oxide=st.sampled_from(sorted(OXIDES)),
    mass_fraction=st.floats(1e-6, 1.0),
    relative=st.floats(0.0, 0.5),
    coverage_factor=st.floats(1.0, 3.0),
)
def test_relative_uncertainty_survives_conversion_to_the_element(oxide, mass_fraction, relative, coverage_factor):
    written = value(
        oxide,
        mass_fraction,
        expanded_uncertainty=relative * mass_fraction,
        coverage_factor=coverage_factor,
        assigned_by=Assignment.FUSION_XRF,
    )
    found = material(written).element_values()[OXIDES[oxide]]
    assert found.mass_fraction < written.mass_fraction
    assert found.standard_uncertainty / found.mass_fraction == pytest.approx(
        written.standard_uncertainty / written.mass_fraction
    )
    assert (found.basis, found.assigned_by, found.kind) == (written.basis, written.assigned_by, written.kind)


def test_oxide_factors_are_the_tabulated_ones():
    """Element fractions of docs, five digits: La2O3 0.85269, CeO2 0.81409, Nb2O5 0.69904."""
    ore = material(value("La2O3", 1.0), value("CeO2", 1.0), value("Nb2O5", 1.0))
    found = {symbol: v.mass_fraction for symbol, v in ore.element_values().items()}
    assert found == pytest.approx({"La": 0.85269, "Ce": 0.81409, "Nb": 0.69904}, abs=1e-5)


def test_oxygen_of_oxides_and_loss_on_ignition_are_no_element_values():
    ore = material(value("Fe2O3", 0.5), value("SiO2", 0.2), value("LOI", 0.1))
    assert set(ore.element_values()) == {"Fe", "Si"}


def test_fluorite_gives_both_its_elements():
    assert set(material(value("CaF2", 0.2)).element_values()) == {"Ca", "F"}


def test_value_of_the_element_itself_has_precedence_over_its_oxide():
    ore = material(value("FeO", 0.1), value("Fe", 0.35))
    assert ore.element_values()["Fe"].mass_fraction == 0.35


def test_two_compounds_of_one_element_are_refused():
    ore = material(value("FeO", 0.1), value("Fe2O3", 0.35))
    with pytest.raises(DomainError, match="ore-1: Fe2O3 and another component both give Fe"):
        ore.element_values()


def test_refused_values_give_no_elements_unless_forced():
    ore = material(value("CeO2", assigned_by=Assignment.FOUR_ACID), value("Fe"))
    assert set(ore.element_values()) == {"Fe"}
    assert set(ore.element_values(force_digestion=True)) == {"Ce", "Fe"}


def test_element_fractions_may_come_from_elsewhere():
    ore = material(value("La2O3", 0.5))
    assert ore.element_values(lambda _: {"La": 0.8, "O": 0.2})["La"].mass_fraction == pytest.approx(0.4)
    with pytest.raises(DomainError, match=r"La2O3: La makes up 1.2 kg/kg"):
        ore.element_values(lambda _: {"La": 1.2})


def test_material_travels_between_processes():
    ore = material(value(), value("LOI", 0.1))
    assert pickle.loads(pickle.dumps(ore)) == ore
