"""Formats without a sample file: what the published layouts say comes back, byte for byte in its place."""

import base64
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers import _library_helper, read_measurement, read_measurements
from xrfree.readers.profile import ReaderProfile
from xrfree.spectrum import Spectrum

Put = Callable[[str, str | bytes], Path]
writers = SimpleNamespace(**run_path(str(Path(__file__).with_name("writers.py"))))


def profile(**said: object) -> ReaderProfile:
    return ReaderProfile.model_validate({"schema": "xrfree/profile/1", **said})


def only(path: Path, given: ReaderProfile | None = None) -> Spectrum:
    (spectrum,) = read_measurement(path, profile=given).spectra.values()
    return spectrum


def test_pdz_header_is_byte_exact() -> None:
    assert bytes.fromhex("19000e000000700064007a003200350001000000") == writers.HEADER_25


def test_pdz_phases_become_conditions_in_any_order(put: Put, counts: list[int]) -> None:
    phases = [
        writers.pdz_spectrum(counts, phase=1, kv=38.0, filters=((22, 25), (13, 300), (0, 0))),
        writers.pdz_spectrum(counts[::-1], phase=2, kv=50.0, filters=((29, 75), (22, 25), (13, 200)), live=29.5),
        writers.pdz_spectrum(counts, phase=3, kv=15.0, filters=((0, 0), (0, 0), (0, 0))),
    ]
    measurement = read_measurement(put("00017.pdz", writers.pdz25(phases)))
    assert measurement.specimen == "ore 17"
    assert list(measurement.spectra) == ["38 kV Ti 25 + Al 300", "50 kV Cu 75 + Ti 25 + Al 200", "15 kV none"]
    hard = measurement.spectra["50 kV Cu 75 + Ti 25 + Al 200"]
    assert hard.counts.tolist() == counts[::-1]
    assert (hard.live_time_s, hard.real_time_s) == (29.5, 31.25)
    assert hard.energy_scale.zero_kev == pytest.approx(-0.00017)
    assert hard.energy_scale.gain_kev == pytest.approx(0.02001)
    assert (hard.condition.anode, hard.condition.tube_current_ua) == ("Rh", 35.0)
    said = hard.metadata
    assert (said["serial number"], said["application"], said["error multiplier"]) == ("800N0001", "GeoExploration", "3")
    assert said["acquisition date and time"] == "2023-05-11 13:14:15.016"
    assert (said["user field Note"], said["illumination"], said["version 6"]) == ("µ", "Mining Light", "1.1")
    assert said["result La"].startswith("Z 57; unit byte 1; result 0.75")


def test_pdz_equal_phases_are_told_apart_by_current_then_by_number(put: Put, counts: list[int]) -> None:
    by_current = [writers.pdz_spectrum(counts, phase=i, ua=10.0 * i, filters=((0, 0),) * 3) for i in (1, 2)]
    assert list(read_measurement(put("a.pdz", writers.pdz25(by_current))).spectra) == [
        "50 kV none 10 µA",
        "50 kV none 20 µA",
    ]
    same = [writers.pdz_spectrum(counts, phase=i, filters=((0, 0),) * 3) for i in (1, 2)]
    assert list(read_measurement(put("b.pdz", writers.pdz25(same))).spectra) == [
        "50 kV none 35 µA phase 1",
        "50 kV none 35 µA phase 2",
    ]


def test_pdz_unknown_records_are_counted_and_damaged_ones_do_not_hide_the_spectra(put: Put, counts: list[int]) -> None:
    more = (
        writers.record(900, b"\0" * 40) + writers.record(138, b"\1\0") + writers.record(11, b"\1\0\1\0\x1c\0\x32\0\0\0")
    )
    spectrum = only(put("a.pdz", writers.pdz25([writers.pdz_spectrum(counts)], more=more)))
    assert spectrum.metadata["record type 900"] == "40 bytes, not read"
    assert spectrum.metadata["record type 138"].startswith("not understood")
    assert spectrum.condition.filter == "Ti 25 + Al 300 + Ni 50"


def test_pdz_of_a_faulty_supply_states_no_voltage(put: Put, counts: list[int]) -> None:
    phases = [writers.pdz_spectrum(counts, phase=i, kv=0.0, filters=((0, 0),) * 3) for i in (1, 2)]
    spectra = read_measurement(put("a.pdz", writers.pdz25(phases) + b"\0\0")).spectra
    assert list(spectra) == ["none 35 µA phase 1", "none 35 µA phase 2"]
    assert spectra["none 35 µA phase 1"].condition.tube_voltage_kv is None
    assert spectra["none 35 µA phase 1"].metadata["tube voltage (kV)"] == "0"


@pytest.mark.parametrize("cut", [1, 100, 200, 400])
def test_pdz_cut_off(put: Put, counts: list[int], cut: int) -> None:
    content = writers.pdz25([writers.pdz_spectrum(counts)])
    with pytest.raises(SpectrumFileError, match=r"byte \d+: \d+ bytes are expected here|byte"):
        read_measurement(put("a.pdz", content[:-cut]))


def test_pdz_of_another_kind_of_instrument(put: Put, counts: list[int]) -> None:
    content = writers.pdz25([writers.pdz_spectrum(counts)])
    with pytest.raises(SpectrumFileError, match="kind of instrument is 2"):
        read_measurement(put("a.pdz", content[:16] + b"\2" + content[17:]))


def test_pdz_version_24_needs_its_energy_scale_from_a_profile(put: Put) -> None:
    counts = list(range(2048))
    path = put("a.pdz", writers.pdz24(counts))
    with pytest.raises(UncalibratedError, match=r"energy of channel 0 is not in the file .*20 eV per channel"):
        read_measurement(path)
    spectrum = only(path, profile(energy_zero_kev=0.0, energy_gain_kev=0.02))
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s, spectrum.condition.tube_voltage_kv) == (58.25, 60.5, 40.0)


def test_chn(put: Put, counts: list[int]) -> None:
    measurement = read_measurement(put("a.chn", writers.chn(counts)))
    spectrum = measurement.spectra["spectrum"]
    assert measurement.specimen == "ore 17"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (pytest.approx(58.0), pytest.approx(60.02))
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.2)
    assert spectrum.energy_scale.quadratic_kev == pytest.approx(1e-6)
    assert (spectrum.metadata["detector"], spectrum.metadata["start date"]) == ("HPGe no 1", "17SEP121")
    straight = only(put("b.chn", writers.chn(counts, kind=-101)))
    assert straight.energy_scale.quadratic_kev == 0.0
    with pytest.raises(UncalibratedError, match="the file ends before its energy scale"):
        read_measurement(put("c.chn", writers.chn(counts, trailer=False)))


@pytest.mark.parametrize(
    ("zero", "gain"), [(2e-19, 2e-41), (15_000.0, 1e-6), (-0.05, -0.2), (0.0, 500.0), (-30_000.0, 700.0)]
)
def test_an_energy_scale_of_no_spectrometer_is_refused(put: Put, counts: list[int], zero: float, gain: float) -> None:
    """With the first two, energies did not rise from channel to channel."""
    content = bytearray(writers.chn(counts, kind=-101))
    struct.pack_into("<2f", content, len(content) - 512 + 4, zero, gain)
    with pytest.raises(UncalibratedError, match="is not a usable one"):
        read_measurement(put("a.chn", bytes(content)))


def test_spec(put: Put, counts: list[int]) -> None:
    (measurement,) = read_measurements(put("a.dat", writers.spec(counts)))
    spectrum = measurement.spectra["spectrum"]
    assert measurement.specimen == "1 ore 17"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (58.25, 60.5)
    assert (spectrum.energy_scale.zero_kev, spectrum.energy_scale.quadratic_kev) == (-0.05, 1e-6)
    assert spectrum.metadata["E"] == "1"
    reduced = writers.spec(counts).replace(f"{len(counts) - 1} 1\n", f"{len(counts) - 1} 2\n")
    with pytest.raises(SpectrumFileError, match="#@CHANN"):
        read_measurement(put("b.dat", reduced))


@pytest.mark.parametrize("write", [writers.esprit, writers.handheld_csv])
def test_bruker_text(put: Put, counts: list[int], write: Callable[[list[int]], str]) -> None:
    spectrum = only(put("a.txt", write(counts)))
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (58.25, 60.5)
    assert spectrum.energy_scale.zero_kev == pytest.approx(-0.05)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.2)


def test_bruker_text_of_a_german_program(put: Put, counts: list[int]) -> None:
    """The title of the columns is translated, the keys are not (NIST EPQ, BrukerTXT)."""
    text = writers.esprit(counts).replace("Energy     Counts", "Energie  Impulse")
    assert only(put("a.txt", text)).counts.tolist() == counts


def test_bruker_text_that_contradicts_itself(put: Put, counts: list[int]) -> None:
    changed = writers.esprit(counts).replace("lin.: 200.0", "lin.: 100.0")
    with pytest.raises(SpectrumFileError, match="but the calibration says"):
        read_measurement(put("a.txt", changed))
    one_column = writers.esprit(counts).split("Counts\n")[0] + "Counts\n1\n2\n"
    with pytest.raises(SpectrumFileError, match="1 columns, expected energy and counts"):
        read_measurement(put("c.txt", one_column))
    with pytest.raises(UncalibratedError, match="eVPerChannel or StartingKeV is missing"):
        read_measurement(put("b.csv", writers.handheld_csv(counts).replace("StartingKeV,-0.05\n", "")))


def test_shimadzu_blocks_and_shared_spectra(put: Put, counts: list[int]) -> None:
    measurement = read_measurement(put("a.csv", writers.shimadzu(counts)))
    assert measurement.specimen == "ore 17"
    assert list(measurement.spectra) == ["15 kV none", "50 kV Al"]
    soft = measurement.spectra["15 kV none"]
    assert soft.counts.tolist() == counts
    assert (soft.live_time_s, soft.condition.anode, soft.condition.atmosphere) == (58.0, "Rh", "Vac.")
    assert soft.metadata["channels that share this spectrum"] == "Mg"
    assert soft.energy_scale.gain_kev == 0.2


def test_vanta_rows_are_turned(put: Put, counts: list[int]) -> None:
    names = ["TestID", "ExposureNum", "Offset", "Slope", "Livetime", "Realtime", "NumData", "TubeVoltageSet"]
    rows = [[*names, *map(str, range(len(counts)))]]
    for exposure, kv in ((1, 40), (2, 15)):
        rows.append(["7", str(exposure), "-0.01", "0.02", "19.5", "20", str(len(counts)), str(kv), *map(str, counts)])
    measurement = read_measurement(put("a.csv", "\n".join(",".join(row) for row in rows)))
    assert list(measurement.spectra) == ["40 kV", "15 kV"]
    np.testing.assert_array_equal(measurement.spectra["15 kV"].counts, counts)


@pytest.mark.parametrize("label", ["TestID", "ExposureNum", "Livetime", "Offset", "Slope"])
def test_a_delta_table_without_a_label_is_refused(put: Put, counts: list[int], label: str) -> None:
    """Without TestID this ended in a KeyError: its first cell holds more than the label."""
    said = {"TestID": "7", "ExposureNum": "1", "Offset": "-0.01", "Slope": "0.02", "Livetime": "19.5"}
    labels = [f"{key},{value},{value}" for key, value in said.items()]
    table = "\n".join([*labels, *(f",{n},{n}" for n in counts)])
    assert len(read_measurements(put("a.csv", table))) == 2
    with pytest.raises(SpectrumFileError, match=f"the rows {label} are missing"):
        read_measurements(put("b.csv", table.replace(label, f"{label};x", 1)))


def test_entities_in_xml_are_refused(put: Put) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]><TRTSpectrum>&b;</TRTSpectrum>'
    with pytest.raises(SpectrumFileError, match="declares a document type or entities"):
        read_measurement(put("a.spx", bomb))
    deep = '<?xml version="1.0"?>' + "<TRTSpectrum>" * 1000
    with pytest.raises(SpectrumFileError, match="levels deep"):
        read_measurement(put("b.spx", deep))


# Stands for rosettasciio: the file says in JSON what the library makes of it.
LIBRARY = """
import json
from pathlib import Path
import numpy as np

def file_reader(name, *, select_type):
    assert select_type == "spectrum_image"
    said = json.loads(Path(name).read_bytes()[8:])
    while said.get("endless"):
        pass
    data = np.zeros(said["shape"], dtype="u1") + np.array(said["counts"], dtype="u1")
    axes = [{}, {}, {"offset": -0.05, "scale": 0.2, "units": said["units"]}]
    return said.get("maps", 1) * [{"data": data, "axes": axes, "original_metadata": said["metadata"]}]
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module rsciio.bruker, of which the helper process knows."""
    module = tmp_path / "packages" / "rsciio" / "bruker.py"
    module.parent.mkdir(parents=True)
    (module.parent / "__init__.py").write_text("")
    module.write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(module.parents[1]))
    helper = _library_helper.HELPERS["rosettasciio"]
    helper._stop()
    yield module
    helper._stop()


def bcf(counts: list[int], **changes: object) -> bytes:
    said: dict[str, object] = {
        "shape": [1, 2, len(counts)],
        "counts": [n // 4 for n in counts],
        "units": "keV",
        "metadata": {"Microscope": {"Name": "M4"}},
    }
    return b"AAMVHFSS" + json.dumps(said | changes).encode()


def test_bcf_goes_through_the_library_and_our_checks(put: Put, counts: list[int], library: Path) -> None:
    path = put("a.bcf", bcf(counts))
    with pytest.raises(SpectrumFileError, match="no live time is stated"):
        read_measurement(path)
    spectrum = only(path, profile(live_time_s=10.0))
    assert spectrum.counts.tolist() == [2 * (n // 4) for n in counts]
    assert (spectrum.energy_scale.zero_kev, spectrum.metadata["Microscope/Name"]) == (-0.05, "M4")
    assert spectrum.metadata["xrfree.pixels"] == "2"
    tube = {"Xrf Header": {"Voltage": "50"}}
    measurement = read_measurement(put("b.bcf", bcf(counts, metadata=tube)), profile=profile(live_time_s=10.0))
    assert list(measurement.spectra) == ["50 kV"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"units": ""}, "the energy axis has the unit ''"),
        ({"maps": 2}, "holds 2 maps of spectra"),
        ({"maps": 0}, "holds 0 maps of spectra"),
        ({"metadata": {"Xrf Header": {"Voltage": "fifty"}}}, "the voltage is 'fifty'"),
        ({"shape": [7]}, "rosettasciio cannot read it"),
        ({"shape": [1 << 20, 1 << 20, 48]}, "rosettasciio cannot read it .Unable to allocate"),
        ({"shape": [1 << 12, 1 << 11, 48]}, "rosettasciio cannot read it .Unable to allocate"),
        ({"endless": True}, "rosettasciio does not come to an end on this file"),
    ],
)
def test_bcf_that_the_library_cannot_read(
    put: Put, counts: list[int], library: Path, changes: dict[str, object], found: str
) -> None:
    path = put("b.bcf", bcf(counts, **changes))
    with pytest.raises(SpectrumFileError, match=rf"b\.bcf.*{found}"):
        read_measurement(path, profile=profile(live_time_s=10.0))
    assert only(put("a.bcf", bcf(counts)), profile(live_time_s=10.0)).n_channels == len(counts)


def test_bcf_without_the_library(put: Put, counts: list[int], library: Path) -> None:
    library.write_text("raise ImportError")
    with pytest.raises(SpectrumFileError, match=r"pip install .xrfree\[formats\]"):
        read_measurement(put("a.bcf", bcf(counts)))


def nexus(path: Path, counts: list[int], **changes: object) -> Path:
    """NXdata of two points with an energy axis and live times; a change of None leaves a member out."""
    members: dict[str, object] = {"energy": 0.05 + 0.2 * np.arange(len(counts)), "live_time": np.array([10.0, 11.0])}
    units = {"energy": "keV", "live_time": "s"}
    with h5py.File(path, "w") as opened:
        data = opened.create_group("entry/xrf")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": [".", "energy"]})
        data["counts"] = np.array([counts, counts[::-1]])
        for name, value in (members | changes).items():
            if value is not None:
                data[name] = value
                if name in units and not isinstance(value, h5py.SoftLink | h5py.ExternalLink):
                    data[name].attrs["units"] = units[name]
    return path


def test_nxdata_of_two_points(tmp_path: Path, counts: list[int]) -> None:
    first, second = read_measurements(nexus(tmp_path / "a.h5", counts))
    assert (first.specimen, second.specimen) == ("a [0]", "a [1]")
    spectrum = second.spectra["spectrum"]
    assert spectrum.counts.tolist() == counts[::-1]
    assert (spectrum.live_time_s, spectrum.energy_scale.gain_kev) == (11.0, pytest.approx(0.2))


def test_one_spectrum_with_its_live_time(tmp_path: Path, counts: list[int]) -> None:
    """The time came back from the helper as an array of one number, and this ended in a TypeError."""
    path = nexus(tmp_path / "a.h5", counts, live_time=np.array([10.0]))
    with h5py.File(path, "a") as opened:
        del opened["entry/xrf/counts"]
        opened["entry/xrf/counts"] = np.array(counts)
    (measurement,) = read_measurements(path)
    assert (measurement.specimen, measurement.spectra["spectrum"].live_time_s) == ("a", 10.0)


def test_a_dataset_without_points_is_refused(tmp_path: Path, counts: list[int]) -> None:
    path = nexus(tmp_path / "a.h5", counts, live_time=None)
    with h5py.File(path, "a") as opened:
        del opened["entry/xrf/counts"]
        opened["entry/xrf/counts"] = np.zeros((0, len(counts)), dtype="i4")
    with pytest.raises(SpectrumFileError, match=r"the spectra have the shapes \[\(0, 48\)\]"):
        read_measurements(path)


def test_calibration_and_selected_dataset(tmp_path: Path, counts: list[int]) -> None:
    path = nexus(tmp_path / "a.h5", counts, energy=None, calibration=np.array([-0.05, 0.2, 1e-7]))
    assert read_measurements(path)[0].spectra["spectrum"].energy_scale.quadratic_kev == 1e-7
    with h5py.File(path, "a") as opened:
        opened["entry/other/counts"] = np.array(counts)
    given = profile(dataset="/entry/other/counts", energy_zero_kev=0.0, energy_gain_kev=0.1, live_time_s=1.0)
    assert only(path, given).counts.tolist() == counts
    with pytest.raises(SpectrumFileError, match="there is no 'nothing' in this file"):
        read_measurements(path, profile=profile(dataset="/entry/nothing"))


def test_hdf5_never_leaves_its_file(tmp_path: Path, counts: list[int]) -> None:
    outside = nexus(tmp_path / "outside.h5", counts)
    link = h5py.ExternalLink(str(outside), "/entry/xrf/live_time")
    with pytest.raises(SpectrumFileError, match="no live time is stated"):
        read_measurements(nexus(tmp_path / "a.h5", counts, live_time=link))
    inside = h5py.SoftLink("/entry/xrf/energy")
    with pytest.raises(SpectrumFileError, match="no live time is stated"):  # its unit is keV
        read_measurements(nexus(tmp_path / "b.h5", counts, live_time=inside))
    source = h5py.VirtualSource(str(outside), "entry/xrf/counts", shape=(2, len(counts)))
    layout = h5py.VirtualLayout(shape=(2, len(counts)), dtype="i8")
    layout[:] = source
    path = nexus(tmp_path / "c.h5", counts)
    with h5py.File(path, "a") as opened:
        del opened["entry/xrf/counts"]
        opened["entry/xrf"].create_virtual_dataset("counts", layout)
    with pytest.raises(SpectrumFileError, match="lies in another file"):
        read_measurements(path)


@pytest.mark.parametrize("points", [2**40, 30_000])
def test_a_dataset_that_claims_more_than_is_stored(tmp_path: Path, counts: list[int], points: int) -> None:
    """30 000 points fit into a file of this size, packed, but none of them was ever written."""
    path = nexus(tmp_path / "a.h5", counts, energy=None, live_time=np.array([10.0]))
    with h5py.File(path, "a") as opened:
        del opened["entry/xrf/counts"]
        opened["entry/xrf"].create_dataset("counts", shape=(points, 48), chunks=(1, 48), dtype="i4")
    with pytest.raises(SpectrumFileError, match="more than its 0 stored bytes can hold"):
        read_measurements(path)


def test_a_dataset_that_is_packed_as_no_spectra_are(tmp_path: Path, counts: list[int]) -> None:
    """134 kB of zeros would become 655 MB of counts."""
    path = nexus(tmp_path / "a.h5", counts, energy=None, live_time=np.array([10.0]))
    with h5py.File(path, "a") as opened:
        del opened["entry/xrf/counts"]
        zeros = np.zeros((40_000, 2048), dtype="i1")
        opened["entry/xrf"].create_dataset("counts", data=zeros, chunks=(64, 2048), compression="gzip")
    with pytest.raises(SpectrumFileError, match=r"\(40000, 2048\), more than its \d+ stored bytes can hold"):
        read_measurements(path)


# An NXdata file with one byte changed (0 to 8 at byte 2073), found by benchmarks/readers_fuzz.py: HDF5 loops on it.
ENDLESS = (
    "c-rk-O-vI(6y6`YEI(>N)Pe#P6%7(op$9K!*C@z=08vAFf-bl%#9AXQ3Kzwwv2rk6G-_hJqE}7y;L!sIG+rbg&_tue#DfM+G)Bel"
    "%$x1biu{Vv@V=y(yqRy_?9RUTmi;DNY}i-7BDW-0u%N0!mf#hfm;wZXyv@eL(2CHepdFT2zf8t_(C-ERewm+t=s;ba#h!A3t)nZn"
    "RRzRyL_^)47OM@}aYQj9@jNr0?CE#JW5XiXEr6BWah)&d5Z|g$l>QwyBSvp5DHMw$nc=msLFMwp;|OAr{5;d<M=G1zU31J2|9Z?1"
    "%#UC5<E@A1_4P!!cwB6L9BgXdCz33n7?An*!7$h(9(+bKf#p3b1nj+-4^K!Ga!8$N3bl8}j6{OXo2}ktJBord&AR*dHaCinfU)b8"
    "%GXoL=`W3@5FLTXYqu=EvcOhs{$V3&K>c&{cOL7FCleW4vFo_m6YbBe$F6IKz}Gpp?h&(<v^g$*!gasCRTygs1OkCTAP@)y0)be5"
    "VEU$8r&*}JDLX#SW#RYwX4eMz9*2pu>6=4koIHY9W^n79+n^mO;dx9?V){|6`-It^>^^G3IE&N39M^U0n_(aCCk6I!2|lB_)EW1F"
    "Emq%D9Q7uPt6SN`U!pr2H)8Yi;~{>+Fz!kF@d-wsnV9i<L~1deRC2}}_|0~$qmXfhazw_bku6HRzkthcz^=DmGS#axw>sQ|O8O<4"
    "I?5CL^t{Pl#~K%{x*ju<rmfeiP+?_Bepa5jg+S)2LrWSbG~eXRc|z&Te0I*^t(lp}-W&ef<&kgJ`&3Lvi~D^Von@Z4indW#y>#Pb"
    "6>q!iDxO0k5C{YUfk6Bp=xgg8-M;c{OVPQPdC!HrZzcn&$--S@XKtT2jiJluo(2sq^|7<k7~LAFxpC)i$ELB4EvMoSekk8w4c3Lr"
    "?q8Vr7C61@W&Kq2{qddSsohsX;Y-)94z@Kuy!WN>W=C~>pOkYVxAiYAbN!lyTN=H$C)%S?3**{j(!SP$wHDq%{|Al!75fSLKWov5"
    "g|8a*^Iaom1U|6@NvHj?PUy8Bo%&I9%2R=t3%oqwtpMIiu)V-5fc^sD7wUBV)xawP-WuSo0p42RtplD9c*Vdg23`s9)&p+?@JfMK"
    "3cNDll~cReuakWl@YDVYKjk-W)X6^G*$BJ};8g&x0{m}=wo=FZLLd-`e-*##kyJTj`ewkT^T_FOYox%h+4^HJPY6!Id6KO|N)kw+"
    "pf8FqKtUSdB&Ljhs}TLRH{NZ@`SUt=a_XQ<y&rD9cj5cdR!tfF|KBWhKb*RA&L7;5pT@PUc>"
)


def test_a_library_that_does_not_come_back_is_ended(tmp_path: Path, counts: list[int]) -> None:
    good, endless = nexus(tmp_path / "a.h5", counts), tmp_path / "b.h5"
    endless.write_bytes(zlib.decompress(base64.b85decode(ENDLESS)))
    assert read_measurements(good)
    with pytest.raises(SpectrumFileError, match=r"b\.h5: the library HDF5 does not come to an end"):
        read_measurements(endless)
    assert read_measurements(good)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="the system does not tell the limits of a process")
def test_the_helper_for_hdf5_can_open_no_file(tmp_path: Path, counts: list[int]) -> None:
    assert read_measurements(nexus(tmp_path / "a.h5", counts))
    process = _library_helper.HELPERS["HDF5"]._process
    assert process is not None
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(r"^Max open files +3 ", limits, re.MULTILINE)


def test_a_helper_that_was_ended_from_outside_is_replaced(tmp_path: Path, counts: list[int]) -> None:
    path = nexus(tmp_path / "a.h5", counts)
    assert read_measurements(path)
    process = _library_helper.HELPERS["HDF5"]._process
    assert process is not None
    process.kill()
    process.wait()
    assert read_measurements(path)
