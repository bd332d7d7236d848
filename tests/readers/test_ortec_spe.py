"""ORTEC and IAEA .spe: blocks, two calibrations, channels that do not start at 0."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers import read_measurement

Put = Callable[[str, str | bytes], Path]
CALIBRATION = "$MCA_CAL:\n3\n-5.0000E-002 2.0003E-001 0.000000E+000 keV\n"


@pytest.fixture
def text(samples: dict[str, tuple[str, bytes]]) -> str:
    return samples["ortec_spe"][1].decode()


def test_sample(put: Put, text: str, counts: list[int]) -> None:
    measurement = read_measurement(put("anything.txt", text))
    spectrum = measurement.spectra["spectrum"]
    assert measurement.specimen == "ore 17"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (100.0, 112.5)
    assert (spectrum.energy_scale.zero_kev, spectrum.energy_scale.gain_kev) == (-0.05, 0.20003)
    assert spectrum.metadata["DATE_MEA"] == "02/09/2018 10:03:36"


@pytest.mark.parametrize(
    ("calibration", "gain_kev", "quadratic_kev"),
    [
        ("$MCA_CAL:\n3\n0 0.2 1e-5\n", 0.2, 1e-5),
        ("$MCA_CAL:\n2\n0 0.2\n", 0.2, 0.0),
        ("$MCA_CAL:\n2\n0 200 eV\n", 0.2, 0.0),
        ("", 0.2, 0.0),
    ],
)
def test_calibrations(put: Put, text: str, calibration: str, gain_kev: float, quadratic_kev: float) -> None:
    path = put("a.spe", text.replace(CALIBRATION, calibration).replace("-0.05 0.2\n", "0 0.2\n"))
    scale = read_measurement(path).spectra["spectrum"].energy_scale
    assert scale.gain_kev == pytest.approx(gain_kev)
    assert scale.quadratic_kev == quadratic_kev


def test_first_channel_carries_its_own_energy(put: Put, text: str) -> None:
    path = put("a.spe", text.replace("$DATA:\n0 47\n", "$DATA:\n100 147\n"))
    assert read_measurement(path).spectra["spectrum"].energy_scale.zero_kev == pytest.approx(-0.05 + 20.003)


def test_empty_name_gives_way_to_the_file_name(put: Put, text: str) -> None:
    for name in ("", "No sample description was entered."):
        path = put("P07.spe", text.replace("$SPEC_ID:\nore 17", f"$SPEC_ID:\n{name}"))
        assert read_measurement(path).specimen == "P07"


@pytest.mark.parametrize(
    ("old", "new", "kind", "found"),
    [
        ("0 47", "0 63", SpectrumFileError, "$DATA: says channels 0 to 63, but 48 counts follow"),
        ("0 47", "47", SpectrumFileError, "$DATA: starts with '47'"),
        ("0 47", "47 0", SpectrumFileError, "$DATA: says channels 47 to 0"),
        ("$DATA:", "$DATE:", SpectrumFileError, "there is no $DATA: block"),
        ("100 112.5", "100", SpectrumFileError, "$MEAS_TIM: is '100', expected live and real"),
        ("100 112.5", "0 112.5", SpectrumFileError, "$MEAS_TIM: live is 0 s"),
        ("$MEAS_TIM:\n100 112.5\n", "", SpectrumFileError, "no live time is stated"),
        (
            "2.0003E-001",
            "3.0000E-001",
            SpectrumFileError,
            "$ENER_FIT: ends at 9.35 keV, but $MCA_CAL: at 14.05 keV",
        ),
        ("2.0003E-001", "two", SpectrumFileError, "$MCA_CAL: is"),
        (
            "-5.0000E-002 2.0003E-001 0.000000E+000 keV\n",
            "0 0 0 keV\n$ENER_FIT:\n0 0\n",
            SpectrumFileError,
            "a second",
        ),
    ],
)
def test_refused(put: Put, text: str, old: str, new: str, kind: type[SpectrumFileError], found: str) -> None:
    assert old in text
    with pytest.raises(kind) as caught:
        read_measurement(put("a.spe", text.replace(old, new)))
    assert caught.value.found.startswith(found)
    assert caught.value.place or "no " in found


def test_zeros_are_no_calibration(put: Put, text: str) -> None:
    zeros = text.replace(CALIBRATION, "$MCA_CAL:\n3\n0 0 0 keV\n").replace("-0.05 0.2\n", "0.0 0.0\n")
    with pytest.raises(UncalibratedError, match="only zeros"):
        read_measurement(put("a.spe", zeros))
