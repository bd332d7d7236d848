"""Files written by real instruments, as listed in the inventory of the shared folder."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError, UnknownFormatError, XrfreeError
from xrfree.readers import read_measurement
from xrfree.readers.profile import ReaderProfile
from xrfree.spectrum import Spectrum

READ = ("epsilon_mp2/*.mp2", "horiba_emsa/*_rep*.txt", "horiba_emsa/iron.txt", "horiba_emsa/titanium.txt")


def profile(**said: object) -> ReaderProfile:
    return ReaderProfile.model_validate({"schema": "xrfree/profile/1", **said})


def only_spectrum(path: Path, given: ReaderProfile | None = None) -> Spectrum:
    (spectrum,) = read_measurement(path, profile=given).spectra.values()
    return spectrum


def inventory(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "spectra/real/INVENTORY.csv").open(newline="", encoding="utf-8") as lines:
        return {row["path"]: row for row in csv.DictReader(lines)}


def paths(shared: Path) -> Iterator[str]:
    real = shared / "spectra/real"
    for pattern in READ:
        yield from (path.relative_to(real).as_posix() for path in sorted(real.glob(pattern)))


def test_inventory_and_files_agree(shared: Path) -> None:
    rows = inventory(shared)
    checked = 0
    for name in paths(shared):
        path = shared / "spectra/real" / name
        measurement = read_measurement(path)
        (spectrum,) = measurement.spectra.values()
        row = rows[name]
        assert spectrum.n_channels == int(row["channels"])
        assert spectrum.live_time_s == pytest.approx(float(row["live_time_s"]), abs=6e-4)
        assert spectrum.condition.tube_voltage_kv == float(row["kv"])
        assert measurement.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        checked += 1
    assert checked >= 16 + 7


def test_every_file_of_the_folder_is_read_or_refused_in_one_line(shared: Path) -> None:
    for path in sorted((shared / "spectra/real").glob("*/*")):
        message, spectra = "", list[Spectrum]()
        try:
            spectra = list(read_measurement(path).spectra.values())
        except XrfreeError as error:
            message = str(error)
        assert spectra or message.startswith(path.name)
        assert "\n" not in message
        assert all(spectrum.total_counts > 0 for spectrum in spectra)


def test_epsilon_condition_and_fitted_scale(shared: Path) -> None:
    measurement = read_measurement(shared / "spectra/real/epsilon_mp2/oreas22d_50kV_Ag100.mp2")
    spectrum = measurement.spectra["50 kV Ag 100"]
    assert measurement.specimen == "oreas 22d"
    assert spectrum.condition.anode == "Ag"
    assert spectrum.energy_scale.gain_kev == 0.008023067378
    assert spectrum.total_counts == 493236
    assert spectrum.metadata["ROI-Fit (chan)"] == "250\n4094"


@pytest.mark.parametrize("element", ["acrylic", "cu", "ni", "si", "steel"])
def test_bruker_emsa_has_four_values_in_a_line(shared: Path, element: str) -> None:
    spectrum = only_spectrum(shared / f"spectra/real/bruker_m4_msa/{element}_rh50kV_vac.msa")
    assert spectrum.n_channels == 4096
    assert spectrum.energy_scale.zero_kev == -0.9553045


@pytest.mark.parametrize("element", ["fe", "ti", "cr", "sn", "zr"])
def test_bruker_emsa_with_negative_counts_at_the_zero_peak(shared: Path, element: str) -> None:
    path = shared / f"spectra/real/bruker_m4_msa/{element}_rh50kV_vac.msa"
    with pytest.raises(SpectrumFileError, match=r"line 57: channel 12\d holds -\d+ counts.*discard_below_kev"):
        read_measurement(path)
    spectrum = only_spectrum(path, profile(discard_below_kev=0.4))
    assert spectrum.counts[spectrum.centres_kev < 0.4].sum() == 0
    assert "set to zero; they held" in spectrum.metadata["xrfree.discard_below_kev"]


def test_pixl_sum_states_a_live_time_beyond_its_real_time(shared: Path) -> None:
    path = shared / "spectra/real/pixl/bhvo2g_bulk_sum.msa"
    with pytest.raises(SpectrumFileError, match=r"line 15: REALTIME is 1601\.58 s, shorter than .* 13973\.4 s"):
        read_measurement(path)
    given = profile(real_time_s=13973.4, replaces=["real_time_s"])
    spectrum = only_spectrum(path, given)
    assert spectrum.energy_scale.zero_kev == pytest.approx(-0.0153063)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.0100449)
    assert spectrum.total_counts > 100_000_000


@pytest.mark.parametrize("name", ["config_pixl_fm.msa", "breadboard_config.msa"])
def test_configuration_is_no_spectrum(shared: Path, name: str) -> None:
    with pytest.raises(SpectrumFileError, match="configuration"):
        read_measurement(shared / "spectra/real/pixl" / name)


@pytest.mark.parametrize("name", ["example1", "iso22029", "iso22029_xy_ncolumns2", "iso22029_scientific_notation"])
def test_energy_loss_is_refused_with_reason(shared: Path, name: str) -> None:
    with pytest.raises(SpectrumFileError, match="electron energy loss"):
        read_measurement(shared / f"spectra/real/emsa_iso22029/{name}.msa")


def test_published_emsa_example_holds_no_counts(shared: Path) -> None:
    with pytest.raises(SpectrumFileError, match=r"line 45: channel 0 holds 65\.82 counts"):
        read_measurement(shared / "spectra/real/emsa_iso22029/example2.msa")


def test_ortec_with_unit_and_with_quadratic_scale(shared: Path) -> None:
    folder = shared / "spectra/real/ortec_spe"
    with_unit = only_spectrum(folder / "gammavision_cal_with_unit.spe")
    assert with_unit.energy_scale.gain_kev == 0.378444
    curved = only_spectrum(folder / "transspec_converted_float_times.spe")
    assert curved.total_counts == 132978
    assert (curved.live_time_s, curved.real_time_s) == (900.0, 905.41998)
    assert curved.energy_scale.quadratic_kev == 2.985859e-07


@pytest.mark.parametrize("name", ["maestro_zero_calibration", "no_calibration_block"])
def test_ortec_without_calibration(shared: Path, name: str) -> None:
    path = shared / f"spectra/real/ortec_spe/{name}.spe"
    with pytest.raises(UncalibratedError, match=r"energy_zero_kev.*energy_gain_kev"):
        read_measurement(path)
    spectrum = only_spectrum(path, profile(energy_zero_kev=0.0, energy_gain_kev=3.0))
    assert spectrum.live_time_s in {296.0, 300.0}


@pytest.mark.parametrize(
    ("name", "n_channels"), [("srm1155_steel_16keV.spe", 2048), ("thin_multielement_17p5keV.mca", 4096)]
)
def test_pymca_files_need_a_profile(shared: Path, name: str, n_channels: int) -> None:
    path = shared / "spectra/real/pymca" / name
    with pytest.raises(UncalibratedError, match=r"energy_zero_kev.*energy_gain_kev.*live_time_s"):
        read_measurement(path)
    given = profile(energy_zero_kev=-0.02, energy_gain_kev=0.0092, live_time_s=100.0, condition="17 keV")
    measurement = read_measurement(path, profile=given)
    spectrum = measurement.spectra["17 keV"]
    assert spectrum.n_channels == n_channels
    assert spectrum.metadata["xrfree.real_time_s"] == "not stated; taken equal to the live time"
    assert measurement.specimen == path.stem


@pytest.mark.parametrize("name", ["amptek_px5_excerpt.mca", "epsilon_excerpt.mps"])
def test_shortened_files_are_seen_to_be_cut_off(shared: Path, name: str) -> None:
    with pytest.raises(SpectrumFileError, match="the file is cut off"):
        read_measurement(shared / "spectra/real/excerpts" / name)


@pytest.mark.parametrize("name", ["nexus/dls_example.nxs", "maps_hdf5/flyscan_2xfm_0011.h5"])
def test_other_hdf5_is_refused(shared: Path, name: str) -> None:
    with pytest.raises(UnknownFormatError, match="an HDF5 file, but not one of xrfree"):
        read_measurement(shared / "spectra/real" / name)


def test_monte_carlo_spectra(shared: Path) -> None:
    files = sorted((shared / "spectra/mc-a/spectra").glob("B0[12].*.csv"))
    assert len(files) == 4
    for path in files:
        measurement = read_measurement(path)
        specimen, condition, _ = path.name.split(".")
        spectrum = measurement.spectra[condition]
        assert measurement.specimen == specimen
        assert spectrum.condition.anode == "Rh"
        assert spectrum.condition.tube_voltage_kv == {"low": 15.0, "high": 50.0}[condition]
        assert spectrum.condition.filter == {"low": "none", "high": "Ag 50 um"}[condition]
        assert spectrum.n_channels == {"low": 2048, "high": 4096}[condition]
        table = np.loadtxt(path, delimiter=",", skiprows=13)
        np.testing.assert_array_equal(spectrum.counts, table[:, 1])


def test_peer_spectrum_has_an_energy_column_and_no_live_time(shared: Path) -> None:
    path = shared / "peers/ree_spectrum.csv"
    with pytest.raises(SpectrumFileError, match=r"no live time is stated.*live_time_s = "):
        read_measurement(path)
    spectrum = only_spectrum(path, profile(live_time_s=300.0))
    assert spectrum.energy_scale.zero_kev == pytest.approx(-0.01, abs=1e-12)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.02, abs=1e-15)
