"""What a laboratory states about its own work enters every budget, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError
from xrfree.method import LaboratoryUncertainty
from xrfree.quantification import Prepared, matched_conditions, prepare, quantify
from xrfree.readers import read_measurement
from xrfree.spectrum import Measurement


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(
        load_method(shipped_path("methods", "iron-ore-edxrf.toml")),
        load_instrument(shipped_path("fitted", "example-edxrf.toml")),
        load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml")),
    )


@pytest.fixture(scope="module")
def ore(prepared: Prepared) -> Measurement:
    folder = shipped_path("spectra", "demo")
    low, high = (read_measurement(folder / f"laterite-middle.{c}.csv") for c in ("low", "high"))
    both = Measurement(
        specimen="laterite-middle",
        spectra={"low": next(iter(low.spectra.values())), "high": next(iter(high.spectra.values()))},
        sources=(*low.sources, *high.sources),
    )
    return matched_conditions(both, prepared.method)


def test_stated_parts_are_in_the_budget_and_the_result_is_the_same(prepared: Prepared, ore: Measurement) -> None:
    assert prepared.method.specimen is not None
    specimen = replace(prepared.method.specimen, loss_on_ignition=0.008)
    stated = LaboratoryUncertainty(preparation=0.004, drift=0.002, loss_on_ignition=0.002)
    plain = quantify(ore, prepared, specimen)
    full = quantify(ore, replace(prepared, method=replace(prepared.method, uncertainty=stated)), specimen)
    assert set(full.budget) - set(plain.budget) == {"preparation", "drift", "matrix"}
    assert np.array_equal(full.mass_fraction, plain.mass_fraction)
    added = sum(full.budget[name] ** 2 for name in ("preparation", "drift", "matrix"))
    # Variances add up: the covariance's diagonal is the sum of the budget's squares.
    assert np.diag(full.covariance) == pytest.approx(np.diag(plain.covariance) + added, rel=1e-9)
    nb = full.components.index("Nb")
    assert full.budget["preparation"][nb] == pytest.approx(0.004 * full.mass_fraction[nb], rel=1e-9)
    # Its own 0.2 %, and that of iron through absorption, whose content moves by more than its rate.
    assert 0.002 < full.budget["drift"][nb] / full.mass_fraction[nb] < 0.01
    # 0.2 % of ignition loss instead of the remainder shifts what is light, by less than itself.
    assert 0.0 < full.budget["matrix"][nb] < 0.002 * full.mass_fraction[nb]


@pytest.mark.parametrize("field", ["preparation", "drift", "loss_on_ignition", "dilution"])
@pytest.mark.parametrize("value", [-0.01, 0.5, float("nan")])
def test_impossible_uncertainty_is_refused(field: str, value: float) -> None:
    with pytest.raises(DomainError, match=field):
        LaboratoryUncertainty(**{field: value})
