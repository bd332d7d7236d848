"""Specimens: what is weighed decides dilution; impossible numbers are refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.errors import DomainError
from xrfree.specimen import Fusion, Specimen, SpecimenForm

FLUX = (("Li2B4O7", 12.0), ("LiBO2", 22.0))
MASS = st.floats(0.01, 100.0)


def fusion(**changes: Any) -> Fusion:
    fields: dict[str, Any] = {"flux": FLUX, "sample_g": 1.0, "flux_g": 10.0, "ignited_mass_per_g_sample": 0.9}
    return Fusion(**(fields | changes))


def powder(**changes: Any) -> Specimen:
    fields: dict[str, Any] = {"form": SpecimenForm.PRESSED_POWDER, "density_g_cm3": 2.5, "thickness_cm": 0.3}
    return Specimen(**(fields | changes))


@given(sample=MASS, flux=MASS, ignited=st.floats(0.3, 1.2))
def test_bead_holds_what_was_weighed(sample: float, flux: float, ignited: float) -> None:
    record = fusion(sample_g=sample, flux_g=flux, ignited_mass_per_g_sample=ignited)
    assert record.bead_g == pytest.approx(flux + sample * ignited, rel=1e-12)
    # An element's mass is the same in sample and bead: w_sample m_sample = w_bead m_bead.
    assert record.dilution * sample == pytest.approx(record.bead_g, rel=1e-12)
    ignited_share = sample * ignited / record.bead_g
    assert record.flux_fraction + ignited_share == pytest.approx(1.0, rel=1e-12)


@given(factor=st.floats(0.01, 100.0))
def test_unit_of_mass_does_not_matter(factor: float) -> None:
    one, other = fusion(), fusion(sample_g=factor, flux_g=10.0 * factor)
    assert other.dilution == pytest.approx(one.dilution, rel=1e-12)
    assert other.flux_fraction == pytest.approx(one.flux_fraction, rel=1e-12)


def test_powder_is_not_diluted() -> None:
    assert powder().dilution == 1.0
    assert powder().areal_density_g_cm2 == pytest.approx(0.75, rel=1e-12)


def test_bead_is_diluted_as_its_record_says() -> None:
    bead = powder(form=SpecimenForm.FUSED_BEAD, fusion=fusion())
    assert bead.dilution == pytest.approx(10.9, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["sample_g", "flux_g", "ignited_mass_per_g_sample"])
def test_impossible_mass_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(DomainError, match=f"{name} is {value}, expected a number above 0"):
        fusion(**{name: value})


@pytest.mark.parametrize(
    "flux",
    [
        (),
        (("Li2B4O7", 0.0),),
        (("Li2B4O7", 1.0), ("LiBO2", -1.0)),
        (("Li2B4O7", float("nan")),),
        (("flux", 1.0),),
    ],
)
def test_impossible_flux_is_refused(flux: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(DomainError, match=r"a flux needs at least one formula with a mass above 0|chemical formula"):
        fusion(flux=flux)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["density_g_cm3", "thickness_cm"])
def test_impossible_size_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(DomainError, match=f"{name} is {value}, expected a number above 0"):
        powder(**{name: value})


@pytest.mark.parametrize("loss", [-0.21, 0.9, 12.3, float("nan"), float("inf")])
def test_impossible_loss_on_ignition_is_refused(loss: float) -> None:
    with pytest.raises(DomainError, match=f"loss on ignition is {loss}, expected kg/kg between -0.2 and 0.9"):
        powder(loss_on_ignition=loss)


def test_ore_that_gains_mass_on_ignition_is_legal() -> None:
    assert powder(loss_on_ignition=-0.012).loss_on_ignition == -0.012


def test_beads_and_only_beads_have_a_weighing_record() -> None:
    with pytest.raises(DomainError, match="a fused bead needs weighing record of a fusion"):
        powder(form=SpecimenForm.FUSED_BEAD)
    with pytest.raises(DomainError, match="a pressed powder has no weighing record of a fusion"):
        powder(fusion=fusion())


def test_specimen_travels_between_processes() -> None:
    bead = powder(form=SpecimenForm.FUSED_BEAD, fusion=fusion())
    assert pickle.loads(pickle.dumps(bead)) == bead
