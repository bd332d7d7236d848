"""Files written by real instruments, as listed in the inventory of the shared folder."""

import csv
import re
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest

from xrfree.cli import OK, main
from xrfree.cli import REFUSED as REFUSED_SOME
from xrfree.errors import SpectrumFileError, UncalibratedError, XrfreeError
from xrfree.readers import read_measurement, read_measurements
from xrfree.readers.profile import ReaderProfile
from xrfree.spectrum import Spectrum

# Why a file of the inventory is not read as it stands: each a property of the file, seen in it.
REFUSED = {
    "horiba_emsa/srm2586_elements.csv": "table of reference values",
    **{
        f"bruker_m4_msa/{name}_rh50kV_vac.msa": r"channel 12\d holds -\d+ counts"
        for name in ("fe", "ti", "cr", "sn", "zr")
    },
    "pixl/config_pixl_fm.msa": "configuration only",
    "pixl/breadboard_config.msa": "configuration only",
    "pixl/calibration_pixl_fm.csv": "calibration file of PIQUANT",
    "pixl/bhvo2g_bulk_sum.msa": r"REALTIME is 1601\.58 s, shorter than the live time",
    "pixl/breadboard_optic_profile.txt": "2 columns without names",
    "pixl/bhvo2g_piquant_expected_quantify.csv": "a fit written by PIQUANT",
    "pixl/bhvo2g_piquant_v260_plot.csv": "a fit written by PIQUANT",
    "pixl/bhvo2g_piquant_v260_log.txt": "a log file of PIQUANT",
    "vanta_results_csv/vanta_geochem_extract.csv": "read_results",
    "epsilon_report/epsilon1_omnian_report.txt": "read_results",
    "niton_results_csv/niton_xl3t_mining.csv": "read_results",
    "ortec_spe/maestro_zero_calibration.spe": "never calibrated",
    "ortec_spe/no_calibration_block.spe": r"no \$MCA_CAL: and no \$ENER_FIT",
    "iec/hpge_zero_calibration.iec": "never calibrated",
    "pymca/srm1155_steel_16keV.spe": r"no \$MCA_CAL: and no \$ENER_FIT",
    "pymca/srm1155_steel_16keV.cfg": "a configuration of PyMca",
    "pymca/thin_multielement_17p5keV.mca": "no energy scale is stated",
    **{
        f"emsa_iso22029/{name}.msa": "electron energy loss"
        for name in (
            "iso22029",
            "iso22029_xy_ncolumns2",
            "iso22029_scientific_notation",
            "iso22029_title_multiple_line",
            "example1",
            "example1_with_seconds",
            "example1_wrong_date",
            "example1_wrong_date_empty_field",
        )
    },
    "emsa_iso22029/example2.msa": r"holds 65\.82 counts",
    "emsa_iso22029/example2_ncolumns5.msa": r"holds 65\.82 counts",
    "emsa_iso22029/minimum_metadata.msa": "NPOINTS is 1, but 2 numbers",
    "nexus/dls_example.nxs": "no dataset looks like a spectrum",
    "maps_hdf5/flyscan_2xfm_0011.h5": "states no energy scale",
    "mda/scan_2xfm_0011.mda": "an EPICS MDA scan",
    "excerpts/amptek_px5_excerpt.mca": "MCAC is 2048, but 64 counts",
    "excerpts/shimadzu_edx700hs_excerpt.csv": "Points is 2048, but 11 counts",
    "excerpts/epsilon_excerpt.mps": "NrOfChannels is 4096, but 10 counts",
    "excerpts/rigaku_zsx_wdxrf_excerpt.csv": "read_results",
    "excerpts/spectraplus_wdxrf_excerpt.txt": "read_intensities",
}
# Sums over all channels that are stated in the inventory's notes on the formats, or by the file's ASCII twin.
TOTALS = {
    "ortec_spc/transspec_integer.spc": 132978,
    "ortec_spe/transspec_converted_float_times.spe": 132978,
    "canberra_cnf/falcon5000.cnf": 683658,
    "epsilon_mp2/oreas22d_50kV_Ag100.mp2": 493236,
}


def profile(**said: object) -> ReaderProfile:
    return ReaderProfile.model_validate({"schema": "xrfree/profile/1", **said})


def only_spectrum(path: Path, given: ReaderProfile | None = None) -> Spectrum:
    (spectrum,) = read_measurement(path, profile=given).spectra.values()
    return spectrum


def inventory(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "spectra/real/INVENTORY.csv").open(newline="", encoding="utf-8") as lines:
        return {row["path"]: row for row in csv.DictReader(lines)}


def test_every_file_of_the_inventory_is_read_as_it_says_or_refused_with_its_reason(shared: Path) -> None:
    rows = inventory(shared)
    assert set(REFUSED) <= set(rows)
    for name, row in rows.items():
        path = shared / "spectra/real" / name
        if name in REFUSED:
            with pytest.raises(SpectrumFileError, match=REFUSED[name]):
                read_measurements(path)
        else:
            assert_as_stated(path, name, row)


def assert_as_stated(path: Path, name: str, row: dict[str, str]) -> None:
    """Channels, live times, voltage, scale and totals, as far as the inventory states them."""
    spectra = [s for measurement in read_measurements(path) for s in measurement.spectra.values()]
    assert {s.n_channels for s in spectra} == {int(row["channels"])} or not row["channels"], name
    live = [float(token) for token in re.findall(r"[0-9.]+", row["live_time_s"])]
    if "-" in row["live_time_s"]:
        assert [min(s.live_time_s for s in spectra), max(s.live_time_s for s in spectra)] == pytest.approx(
            live, abs=6e-3
        )
    elif live:
        assert [s.live_time_s for s in spectra] == pytest.approx(live, abs=6e-4), name
    if (
        re.fullmatch(r"[0-9]+", row["kv"])
        and row["anode"] in {"Ag", "Rh", "Mo"}
        and spectra[0].condition.tube_voltage_kv
    ):
        assert {s.condition.tube_voltage_kv for s in spectra} == {float(row["kv"])}, name
    if name in TOTALS:
        assert sum(s.total_counts for s in spectra) == TOTALS[name]


def test_binary_and_ascii_of_one_measurement_agree(shared: Path) -> None:
    real = shared / "spectra/real"
    binary = only_spectrum(real / "ortec_spc/transspec_integer.spc")
    text = only_spectrum(real / "ortec_spe/transspec_converted_float_times.spe")
    np.testing.assert_array_equal(binary.counts, text.counts)
    assert (binary.live_time_s, binary.real_time_s) == (900.0, pytest.approx(text.real_time_s, abs=1e-4))
    assert binary.energy_scale.gain_kev == pytest.approx(text.energy_scale.gain_kev, abs=1e-6)


def test_canberra_times_scale_and_date(shared: Path) -> None:
    spectrum = only_spectrum(shared / "spectra/real/canberra_cnf/falcon5000.cnf")
    assert (spectrum.live_time_s, spectrum.real_time_s) == (pytest.approx(841.42), pytest.approx(849.51))
    assert spectrum.energy_scale.zero_kev == pytest.approx(-0.2097, abs=5e-5)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.718993, abs=5e-7)


@pytest.mark.parametrize(
    ("name", "condition", "anode", "atmosphere"),
    [
        ("acrylic_mo50kV_nofilter", "50 kV none", "Mo", "Air"),
        ("acrylic_rh50kV_f5", "50 kV AlTiCu_100/50/25", "Rh", "Air"),
        ("m6_jetstream_helium", "50 kV none", "Rh", "Helium"),
        ("sem_nano_chalcopyrite", "electrons 15 keV", None, None),
    ],
)
def test_bruker_spx_conditions(
    shared: Path, name: str, condition: str, anode: str | None, atmosphere: str | None
) -> None:
    spectra = read_measurement(shared / f"spectra/real/bruker_spx/{name}.spx").spectra
    assert list(spectra) == [condition]
    assert (spectra[condition].condition.anode, spectra[condition].condition.atmosphere) == (anode, atmosphere)


def test_bruker_spx_holds_the_spectrum_not_the_fitted_background(shared: Path) -> None:
    path = shared / "spectra/real/bruker_spx/m6_jetstream_helium.spx"
    first = re.search(r"<Channels>([0-9,]+)", path.read_text(encoding="windows-1252"))
    assert first is not None
    assert only_spectrum(path).counts.tolist() == [int(n) for n in first[1].strip(",").split(",")]


def test_delta_exposures_are_grouped_by_test(shared: Path) -> None:
    folder = shared / "spectra/real/olympus_delta_csv"
    comma = read_measurements(folder / "delta_spectra_ascii_comma.csv")
    assert [len(m.spectra) for m in comma] == [1] + 12 * [3]
    assert list(comma[1].spectra) == ["40 kV position 3", "40 kV position 1", "15 kV position 5"]
    tab = read_measurements(folder / "delta_spectra_utf16_tab.csv")
    assert sum(len(m.spectra) for m in tab) == 109
    assert len({m.specimen for m in tab}) == len(tab)
    with pytest.raises(SpectrumFileError, match=r"holds more than one measurement.*read_measurements"):
        read_measurement(folder / "delta_spectra_ascii_comma.csv")
    one = read_measurement(folder / "delta_spectra_ascii_comma.csv", specimen="05_01_21 #2-1")
    assert list(one.spectra) == list(comma[1].spectra)


def test_detectors_keep_their_own_times_and_scales(shared: Path) -> None:
    spectra = read_measurement(shared / "spectra/real/axo_gsecars/axo_rf4_21keV.xrf").spectra
    assert [s.energy_scale.gain_kev for s in spectra.values()] == [0.01479939, 0.01479478, 0.01482842, 0.01478658]
    assert list(spectra) == [f"detector {i}" for i in (1, 2, 3, 4)]
    assert spectra["detector 1"].metadata["ENVIRONMENT 13IDA:E:Energy.VAL"] == "21000.00195 (Mono Energy drive val)"


def test_maps_pixels_need_a_scale_and_keep_their_own_live_times(shared: Path) -> None:
    path = shared / "spectra/real/maps_hdf5/flyscan_2xfm_0011.h5"
    pixels = read_measurements(path, profile=profile(energy_zero_kev=0.0, energy_gain_kev=0.01))
    assert len(pixels) == 11 * 9
    assert list(pixels[0].spectra) == [f"detector {letter}" for letter in "abcd"]
    assert pixels[0].spectra["detector a"].live_time_s == pytest.approx(1.2027423)
    assert sum(p.spectra["detector a"].total_counts for p in pixels) == 100311


def test_every_file_of_the_folder_is_read_or_refused_in_one_line(shared: Path) -> None:
    for path in sorted((shared / "spectra/real").glob("*/*")):
        message, spectra = "", list[Spectrum]()
        try:
            spectra = [s for measurement in read_measurements(path) for s in measurement.spectra.values()]
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


def facts(path: Path) -> list[tuple[object, ...]]:
    """What is said of every spectrum, in an order that does not hang on the names of files."""
    said = [
        (m.specimen, name, s.counts.tobytes(), s.live_time_s, s.real_time_s, s.energy_scale, s.condition, s.metadata)
        for m in read_measurements(path)
        for name, s in m.spectra.items()
    ]
    return sorted(said, key=lambda one: (one[0], one[1], one[2]))


@pytest.mark.parametrize("kind", ["hdf5", "emsa", "csv"])
def test_every_readable_file_survives_its_conversion(
    shared: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All files of the folder at once: counts, times, scales, conditions and every key of the maker come back."""
    real = shared / "spectra/real"
    names = [name for name in inventory(shared) if name not in REFUSED]
    curved = {"canberra_cnf/falcon5000.cnf", "iec/hpge_calibrated.iec"} | {
        name for name in names if "transspec" in name
    }
    curved = {name for name in curved if read_measurement(real / name).spectra["spectrum"].energy_scale.quadratic_kev}
    refused = curved if kind == "emsa" else set()
    status = main(["convert", *(str(real / name) for name in names), str(tmp_path / "out"), "--to", kind])
    told = capsys.readouterr()
    assert status == (REFUSED_SOME if refused else OK)
    assert f"{len(refused)} files refused" in told.out
    assert all(f"{name}: " in told.err and "no quadratic energy scale" in told.err for name in refused)
    before = [one for name in names if name not in refused for one in facts(real / name)]
    after = [one for path in (tmp_path / "out").iterdir() for one in facts(path)]
    key = itemgetter(0, 1, 2)
    for one, other in zip(sorted(before, key=key), sorted(after, key=key), strict=True):
        assert one[:-1] == other[:-1]
        assert one[-1].items() <= other[-1].items()  # type: ignore[attr-defined]
