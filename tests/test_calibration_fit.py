"""What standards have in common beyond what `xrfree.learning` is told."""

from types import SimpleNamespace

import numpy as np
import pytest

from xrfree.calibration_fit import _relative_effects, _shared_errors
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue
from xrfree.weighing import Mixture, Reagent, weighed_material

LA = Reagent(name="La2O3", formula="La2O3", purity=0.999, purity_uncertainty=0.005, lot="A17")
FE = Reagent(name="Fe2O3", formula="Fe2O3", purity=0.998, purity_uncertainty=0.0)


def standard(material: ReferenceMaterial, *elements: str) -> SimpleNamespace:
    values = material.element_values()
    content = {e: (values[e].mass_fraction, values[e].standard_uncertainty) for e in elements}
    return SimpleNamespace(content=content, relative_effect=_relative_effects(material, list(content), force=False))


def mixtures(n: int) -> list[SimpleNamespace]:
    masses = [0.02 + 0.01 * i for i in range(n)]
    made = [
        Mixture(name=f"SYN-{i}", mass_g={"La2O3": m, "Fe2O3": 1.0 - m}, balance_uncertainty_g=0.0001)
        for i, m in enumerate(masses)
    ]
    return [standard(weighed_material(mixture, [LA, FE]), "La", "Fe") for mixture in made]


@pytest.mark.parametrize("n", [4, 40])
def test_no_number_of_mixtures_averages_the_purity_of_their_reagent(n):
    found = _shared_errors(mixtures(n), ["La", "Fe"])
    # Purity enters as a factor of every content of lanthanum; weighings are each mixture's own.
    assert np.sqrt(found[0, 0]) == pytest.approx(0.005 / 0.999, rel=1e-9)
    assert found[1, 1] == pytest.approx(0.0, abs=1e-12)


def test_certificates_of_their_own_share_nothing():
    made = [
        ReferenceMaterial(
            name=f"CRM-{i}",
            values=tuple(
                ReferenceValue(
                    component=component,
                    mass_fraction=w,
                    expanded_uncertainty=0.01,
                    coverage_factor=2.0,
                    assigned_by=Assignment.FUSION,
                    basis=Basis.DRY,
                )
                for component, w in (("La", 0.1), ("Ce", 0.0))  # nothing is no share of anything
            ),
        )
        for i in range(3)
    ]
    assert not np.any(_shared_errors([standard(m, "La", "Ce") for m in made], ["La", "Ce"]))


def test_half_the_standards_share_half_the_error():
    own = [
        SimpleNamespace(content={"La": (0.01, 1e-5)}, relative_effect={f"certificate CRM-{i}: La": {"La": 0.001}})
        for i in range(5)
    ]
    found = _shared_errors([*mixtures(5), *own], ["La"])
    assert np.sqrt(found[0, 0]) == pytest.approx(0.5 * 0.005 / 0.999, rel=1e-9)
