"""EMSA, CSV and HDF5 that xrfree writes: counts, times, scale, condition and every key come back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfree.errors import DomainError
from xrfree.readers import read_measurement, write_csv, write_emsa, write_hdf5
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, SourceFile, Spectrum

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def measurement(metadata: dict[str, str], counts: list[int], *, quadratic_kev: float = 0.0) -> Measurement:
    condition = ExcitationCondition(
        name="50 kV Ag 100",
        anode="Rh",
        tube_voltage_kv=50.0,
        tube_current_ua=101.3,
        filter="Ag 100",
        atmosphere="vacuum",
    )
    spectrum = Spectrum(
        counts=np.array(counts),
        live_time_s=29.937 / 3.0,
        real_time_s=31.25,
        energy_scale=EnergyScale(zero_kev=0.1 / 3.0, gain_kev=0.02 / 3.0, quadratic_kev=quadratic_kev),
        condition=condition,
        metadata=metadata,
    )
    source = SourceFile(path="a:b.pdz", sha256="0" * 64)
    return Measurement(specimen="Erz 17: µ", spectra={condition.name: spectrum}, sources=(source,))


def assert_came_back(path: Path, made: Measurement) -> None:
    found = read_measurement(path)
    ((name, one),) = made.spectra.items()
    other = found.spectra[name]
    assert found.specimen == made.specimen
    np.testing.assert_array_equal(other.counts, one.counts)
    assert (other.live_time_s, other.real_time_s) == (one.live_time_s, one.real_time_s)
    assert (other.energy_scale, other.condition) == (one.energy_scale, one.condition)
    assert {key: other.metadata[key] for key in one.metadata} == dict(one.metadata)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6), st.lists(st.integers(0, 2**31 - 2), min_size=2, max_size=40))
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, str], counts: list[int]) -> None:
    folder = tmp_path_factory.getbasetemp()
    made = measurement(metadata, counts)
    write_emsa(folder / "a.msa", made, "50 kV Ag 100")
    write_csv(folder / "a.csv", made, "50 kV Ag 100")
    write_hdf5(folder / "a.h5", [made])
    for name in ("a.msa", "a.csv", "a.h5"):
        assert_came_back(folder / name, made)


def test_a_curved_scale_is_kept_in_csv_and_refused_in_emsa(tmp_path: Path) -> None:
    made = measurement({"LIVETIME  -s": "of the maker"}, [1, 2, 3], quadratic_kev=1e-7)
    write_csv(tmp_path / "a.csv", made, "50 kV Ag 100")
    assert_came_back(tmp_path / "a.csv", made)
    with pytest.raises(DomainError, match="EMSA states no quadratic energy scale"):
        write_emsa(tmp_path / "a.msa", made, "50 kV Ag 100")


def test_what_was_converted_twice_says_the_same(tmp_path: Path) -> None:
    made = measurement({"a": "1\n2", "XRFREE.METADATA": "x"}, [1, 2, 3])
    write_emsa(tmp_path / "a.msa", made, "50 kV Ag 100")
    write_csv(tmp_path / "a.csv", read_measurement(tmp_path / "a.msa"), "50 kV Ag 100")
    assert_came_back(tmp_path / "a.csv", made)


def test_own_lines_that_somebody_edited_say_nothing(tmp_path: Path) -> None:
    made = measurement({"a": "1"}, [1, 2, 3])
    write_csv(tmp_path / "a.csv", made, "50 kV Ag 100")
    text = (tmp_path / "a.csv").read_text().replace('["a", "1"]', '["a", 1').replace('"anode": "Rh"', '"anode": 45')
    (tmp_path / "a.csv").write_text(text)
    found = read_measurement(tmp_path / "a.csv").spectra["50 kV Ag 100"]
    assert "a" not in found.metadata
    assert found.condition.anode is None
    assert replace(found.condition, anode="Rh") == made.spectra["50 kV Ag 100"].condition
