"""Tables: results of other programs, intensities of wavelength-dispersive spectrometers, 2-theta scans."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrfree.errors import SpectrumFileError, UnknownFormatError
from xrfree.intensities import IntensityKind
from xrfree.readers import read_intensities, read_measurement, read_results, read_scan

Put = Callable[[str, str | bytes], Path]
GENERIC = (
    "specimen,line,group,kind,rate_kcps,counting_time_s,two_theta_deg,role,position,operator\n"
    "bead 1,Ce-LA,Ce L,gross,0.4,100,79.01,peak,,me\n"
    "bead 1,Ce-LA,,,0.025,40,80.5,background,BG1,me\n"
    "bead 1,Ce-LA,,,1.25,20,,overlap,Ti-KA,me\n"
    "bead 1,Fe-KA,Fe K,net,-0.001,,57.5,peak,,me\n"
    "bead 2,Ce-LA,Ce L,gross,0.5,100,79.01,peak,,you\n"
)


def test_vanta(shared: Path) -> None:
    readings = read_results(shared / "spectra/real/vanta_results_csv/vanta_geochem_extract.csv")
    assert len(readings) == 14
    assert not readings[0].values
    second = readings[1]
    assert second.values["Mg"].is_censored
    assert second.values["Mg"].detection_limit == pytest.approx(5967e-6)
    assert second.values["Nb"].mass_fraction == pytest.approx(52e-6)
    assert second.values["Nb"].standard_uncertainty == pytest.approx(1e-6)
    assert second.metadata["Method Name"] == "geoChem-Extra"


def test_vanta_without_its_titles_is_refused(put: Put) -> None:
    """A quote behind sep=, swallows all lines; this ended in an IndexError."""
    text = "sep=,\ninfo, Units,Nb Concentration,Nb Error 1s\nore,ppm,52,1\n"
    assert read_results(put("a.csv", text))[0].values["Nb"].mass_fraction == pytest.approx(52e-6)
    with pytest.raises(SpectrumFileError, match=r"b\.csv line 1: there is no line with the names"):
        read_results(put("b.csv", text.replace("sep=,", 'sep=,"')))


def test_niton(shared: Path) -> None:
    readings = read_results(shared / "spectra/real/niton_results_csv/niton_xl3t_mining.csv")
    assert len(readings) == 30
    first = readings[0].values
    assert first["La"].is_censored
    assert first["La"].detection_limit == pytest.approx(57.16e-6)
    assert first["Ba"].mass_fraction == pytest.approx(3522.06e-6)
    assert first["Ba"].standard_uncertainty == pytest.approx(66.22e-6 / 2)
    assert first["SiO2"].standard_uncertainty is None
    assert "Bal" not in first
    assert readings[0].method == "Niton Mining"


def test_epsilon_report_without_its_rows_of_statistics(shared: Path) -> None:
    readings = read_results(shared / "spectra/real/epsilon_report/epsilon1_omnian_report.txt")
    assert len(readings) == 24
    assert readings[1].values["La"].mass_fraction == pytest.approx(30.568e-6)
    assert readings[1].values["Nb"].mass_fraction == pytest.approx(-0.278e-6)
    assert readings[1].metadata["Na Iraw"] == "-26.658"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\t\tLa\n", '\t\t"La\n'),  # a quote that swallows the titles: this ended in StopIteration
        ("\tIraw\tInet", '\t"Iraw\tInet"'),  # this ended in ValueError: 'Iraw' is not in list
        ("\t\tLa\n", ""),  # without the line above them, the titles name no element
    ],
)
def test_epsilon_report_without_its_titles_is_refused(put: Put, old: str, new: str) -> None:
    text = "\t\tLa\nNr\tIdent\tIraw\tInet\tC\tUnit\n1\tore\t1.5\t1.2\t30\tppm\n"
    assert read_results(put("a.txt", text))[0].values["La"].mass_fraction == pytest.approx(30e-6)
    assert old in text
    with pytest.raises(SpectrumFileError, match=r"b\.txt line 1: there is no line 'Nr"):
        read_results(put("b.txt", text.replace(old, new)))


def test_rigaku_zsx_keeps_flags_and_mixed_units(shared: Path) -> None:
    path = shared / "spectra/real/excerpts/rigaku_zsx_wdxrf_excerpt.csv"
    first, second = read_results(path)
    assert first.values["K"].mass_fraction == pytest.approx(0.0378e-2)
    assert first.values["C6H10O5N"].mass_fraction == pytest.approx(0.968647)
    assert "Zn flag" not in first.metadata
    assert second.metadata["Zn flag"] == "H"
    with pytest.raises(SpectrumFileError, match="no column is in cps or kcps"):
        read_intensities(path)


def test_spectraplus_contents_and_intensities(shared: Path) -> None:
    path = shared / "spectra/real/excerpts/spectraplus_wdxrf_excerpt.txt"
    first, second = read_results(path)
    assert first.values["P"].mass_fraction == pytest.approx(0.13e-2)
    assert second.values["P"].mass_fraction == pytest.approx(784e-6)
    assert second.values["C"].is_censored
    intensities = read_intensities(path)
    assert intensities[0].lines["Fe"].rate_per_s == pytest.approx(2312.1)
    assert intensities[0].lines["Fe"].kind is IntensityKind.NOT_STATED
    assert intensities[1].specimen == "COM004"


def test_a_name_of_two_lines_makes_no_message_of_two_lines(put: Put) -> None:
    text = 'Sample\tDate\tP\tFe (Int)\n"ore 17\nore 18"\t\t0,1 %\t\n'
    with pytest.raises(SpectrumFileError, match="ore 17 ore 18: no line intensities") as caught:
        read_intensities(put("a.txt", text))
    assert "\n" not in str(caught.value)


def test_bruker_s1_drops_columns_without_a_name(put: Put) -> None:
    text = "File #,Sample ID,Units,Error Multiplier,Nb,Nb Err,La,La Err,,\n1,ore,ppm,3,52,3,<LOD,60,0.01,0.02\n"
    (reading,) = read_results(put("a.csv", text))
    assert reading.values["Nb"].standard_uncertainty == pytest.approx(1e-6)
    assert reading.values["La"].detection_limit == pytest.approx(60e-6)
    assert set(reading.values) == {"Nb", "La"}
    with pytest.raises(SpectrumFileError, match="no column Units"):
        read_results(put("b.csv", text.replace("Units", "Mode")))


def test_generic_intensities(put: Put) -> None:
    first, second = read_intensities(put("a.csv", GENERIC))
    cerium = first.lines["Ce-LA"]
    assert (cerium.rate_per_s, cerium.counting_time_s, cerium.group) == (400.0, 100.0, "Ce L")
    assert cerium.two_theta_rad == pytest.approx(math.radians(79.01))
    assert [(p.name, p.rate_per_s, p.counting_time_s) for p in cerium.background] == [("BG1", 25.0, 40.0)]
    assert [p.name for p in cerium.overlaps] == ["Ti-KA"]
    assert first.lines["Fe-KA"].kind is IntensityKind.NET
    assert (first.metadata["operator"], second.metadata["operator"]) == ("me", "you")


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ("gross,0.5", "gross,-0.5", "line 6", "Ce-LA: the intensity is -500"),
        ("0.4,100", "0.4,0", "line 2", "Ce-LA: the counting time is 0"),
        (",background,", ",between,", "line 3", "the role 'between'"),
        ("bead 1,Fe-KA,Fe K", "bead 1,Ce-LA,Ce L", "line 2", "a line stands twice"),
        ("Fe-KA,Fe K", "Xx-KA,Fe K", "line 5", "the line 'Xx-KA' does not begin"),
        ("Ce-LA,,,0.025", "La-LA,,,0.025", "line 2", "positions are listed for the lines La-LA"),
        ("bead 2", "", "line 6", "no specimen is named"),
        ("0.025", "x", "line 3", "'x' in column 5"),
    ],
)
def test_generic_intensities_refused(put: Put, old: str, new: str, place: str, found: str) -> None:
    assert old in GENERIC
    with pytest.raises(SpectrumFileError) as caught:
        read_intensities(put("a.csv", GENERIC.replace(old, new, 1)))
    assert caught.value.place == place
    assert caught.value.found.startswith(found)


def test_scan(put: Put) -> None:
    text = "# specimen: bead 1\n# crystal_2d_angstrom: 4.0267\n# counting_time_s: 2\ntwo_theta_deg,counts\n"
    scan = read_scan(put("a.csv", text + "57.0,10\n57.5,400\n58.0,12\n"))
    assert scan.specimen == "bead 1"
    np.testing.assert_allclose(scan.rate_per_s, [5, 200, 6])
    assert scan.energy_kev is not None
    # Fe Kα (6.4 keV) on LiF(200) lies at 57.5 degrees.
    assert scan.energy_kev[1] == pytest.approx(6.40, abs=0.005)
    with pytest.raises(SpectrumFileError, match="counts without a counting time"):
        read_scan(put("b.csv", text.replace("# counting_time_s: 2\n", "") + "57.0,10\n"))
    with pytest.raises(SpectrumFileError, match="the angles of a scan must rise"):
        read_scan(put("c.csv", text + "57.5,10\n57.0,9\n"))


def test_each_kind_of_table_names_the_verb_that_reads_it(put: Put, shared: Path) -> None:
    with pytest.raises(SpectrumFileError, match=r"a table \(intensity table\).*read_intensities"):
        read_measurement(put("a.csv", GENERIC))
    with pytest.raises(SpectrumFileError, match="2-theta scan.*read_scan"):  # noqa: RUF043
        read_measurement(put("b.csv", "two_theta_deg,counts\n57,1\n"))
    with pytest.raises(UnknownFormatError, match="no table of results that xrfree knows"):
        read_results(put("c.csv", "a,b\n1,2\n"))
    with pytest.raises(UnknownFormatError, match="no table of line intensities"):
        read_intensities(shared / "spectra/real/niton_results_csv/niton_xl3t_mining.csv")
