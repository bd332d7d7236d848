"""Weighing records: mass fractions, covariance, and what is refused."""

import numpy as np
import pytest

from xrfree.atomic import parse_formula
from xrfree.documents.certificates import load_certificate, load_certificates, save_certificate
from xrfree.errors import DocumentError, DomainError
from xrfree.reference import Assignment, error_effects
from xrfree.weighing import Mixture, Reagent, weighed_material

LA = Reagent(name="La2O3", formula="La2O3", purity=0.999, purity_uncertainty=0.0005, lot="A17")
FE = Reagent(name="Fe2O3", formula="Fe2O3", purity=0.998, purity_uncertainty=0.001)
MIX = Mixture(name="SYN-01", mass_g={"La2O3": 0.05, "Fe2O3": 0.95}, balance_uncertainty_g=0.0001)

RECORD = """
schema = "xrfree/weighing/1"
balance_uncertainty_g = 0.0001

[reagents.La2O3]
formula = "La2O3"
purity = 0.999
purity_uncertainty = 0.0005
lot = "A17"

[reagents.Fe2O3]
formula = "Fe2O3"
purity = 0.998
purity_uncertainty = 0.001

[[mixtures]]
name = "SYN-01"
masses_g = { La2O3 = 0.05, Fe2O3 = 0.95 }

[[mixtures]]
name = "SYN-02"
masses_g = { La2O3 = 0.02, Fe2O3 = 0.98 }
"""


def test_content_is_mass_times_purity_times_formula():
    material = weighed_material(MIX, [LA, FE])
    assert material["La"].mass_fraction == pytest.approx(0.05 * 0.999 * parse_formula("La2O3")["La"])
    assert material["La"].assigned_by is Assignment.WEIGHING
    assert {v.component for v in material.values} == {"La", "Fe"}


def test_covariance_is_that_of_a_simulation():
    rng = np.random.default_rng(4)
    n = 40_000
    m = np.array([0.05, 0.95]) + 0.0001 * rng.normal(size=(n, 2))
    p = np.array([0.999, 0.998]) + np.array([0.0005, 0.001]) * rng.normal(size=(n, 2))
    f = np.array([parse_formula("La2O3")["La"], parse_formula("Fe2O3")["Fe"]])
    simulated = np.cov((m * p * f / m.sum(axis=1, keepdims=True)).T)
    effects = np.array(list(error_effects(weighed_material(MIX, [LA, FE]), ["La", "Fe"]).values()))
    # 40 000 draws know a variance to 0.7 %; the covariance is small and known to about 2 % of √(product).
    scale = np.sqrt(np.outer(np.diag(simulated), np.diag(simulated)))
    assert effects.T @ effects / scale == pytest.approx(simulated / scale, abs=0.03)


def test_stated_uncertainty_is_the_root_of_the_summed_effects():
    material = weighed_material(MIX, [LA, FE])
    effects = np.array(list(error_effects(material, ["La"]).values()))
    assert material["La"].standard_uncertainty == pytest.approx(np.sqrt((effects**2).sum()), rel=1e-12)


def test_mixtures_of_one_lot_share_its_error(tmp_path):
    path = tmp_path / "weighing.toml"
    path.write_text(RECORD, encoding="utf-8")
    one, two = load_certificates(path)
    assert one.name == "SYN-01"
    shared = set(error_effects(one, ["La"])) & set(error_effects(two, ["La"]))
    assert shared == {"purity of La2O3 A17"}
    assert {m.name for m in load_certificates(tmp_path)} == {"SYN-01", "SYN-02"}


def test_a_weighed_material_survives_being_written_as_a_certificate(tmp_path):
    material = weighed_material(MIX, [LA, FE])
    save_certificate(material, tmp_path / "syn.toml")
    again = load_certificate(tmp_path / "syn.toml")
    assert again == material


def test_a_value_without_sources_errs_by_itself():
    material = weighed_material(MIX, [LA, FE])
    plain = type(material)(name="P", values=material.values)
    effects = error_effects(plain, ["La", "Fe"])
    assert list(effects) == ["certificate P: La", "certificate P: Fe"]
    assert effects["certificate P: La"] == pytest.approx([material["La"].standard_uncertainty, 0.0])
    with pytest.raises(KeyError, match="no usable reference value for Nb"):
        error_effects(plain, ["Nb"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("purity = 0.999\n", "purity = 99.9\n"), "purity"),
        (("La2O3 = 0.05, ", "CeO2 = 0.05, "), "no reagent is called CeO2"),
        (("Fe2O3 = 0.95", "Fe2O3 = -0.95"), "masses_g"),
        (('formula = "La2O3"', 'formula = "Lanthana"'), "formula"),
    ],
)
def test_a_wrong_record_is_refused_with_its_place(tmp_path, change, message):
    path = tmp_path / "weighing.toml"
    path.write_text(RECORD.replace(*change), encoding="utf-8")
    with pytest.raises(DocumentError, match=message):
        load_certificates(path)


def test_error_sources_name_components_that_have_values():
    material = weighed_material(MIX, [LA, FE])
    with pytest.raises(DomainError, match="which have no value"):
        type(material)(name="P", values=material.values[:1], error_sources=material.error_sources)
