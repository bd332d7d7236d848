"""Samples of every format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrfree.readers import write_hdf5
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, SourceFile, Spectrum

N_CHANNELS = 48
Put = Callable[[str, str | bytes], Path]


def sample_counts() -> list[int]:
    """A peak on a slope; the same in every sample."""
    channel = np.arange(N_CHANNELS)
    return [int(n) for n in 40 - 0.5 * channel + 900 * np.exp(-0.5 * ((channel - 20) / 2.5) ** 2)]


def csv_text() -> str:
    header = (
        "# specimen: ore 17\n# condition: low\n# tube_anode: Rh\n# tube_kv: 15.0\n# filter: none\n"
        "# atmosphere: vacuum\n# live_time_s: 100.000\n# real_time_s: 112.500\n# energy_zero_kev: -0.05\n"
        f"# energy_gain_kev: 0.2\n# channels: {N_CHANNELS}\nchannel,counts\n"
    )
    return header + "".join(f"{i},{n}\n" for i, n in enumerate(sample_counts()))


def emsa_text() -> str:
    header = (
        "#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n#TITLE       : ore: batch 4\n"
        f"#NPOINTS     : {N_CHANNELS}.\n#NCOLUMNS    : 4.\n#XUNITS      : eV\n#YUNITS      : counts\n"
        "#DATATYPE    : Y\n#XPERCHAN -eV: 200.0\n#OFFSET      : -400.0\n#CHOFFSET    : 2\n"
        "#SIGNALTYPE  : EDS\n"
        "#LIVETIME  -s: 100.0\n#REALTIME  -s: 112.5\n#BEAMKV   -kV: 40.0\n##MAKER      : a\n"
        "##MAKER      : b\n"
        "#SPECTRUM    : \n"
    )
    counts = sample_counts()
    rows = [counts[i : i + 4] for i in range(0, N_CHANNELS, 4)]
    lines = "".join("".join(f"{n:10.1f}," for n in row) + "\n" for row in rows)
    return header + lines + "#ENDOFDATA   : \n"


def mp2_text() -> str:
    counts = sample_counts()
    header = (
        "SampleIdent               : ore 17\r\nTimeMeasured              : 16/08/2017 12:11:47\r\n"
        "TubeAnode                 : Ag 50\r\nkV                        : 50.000\r\n"
        "mA                        : 0.100\r\nuA                        : 100\r\n"
        "Filter                    : Ag 100\r\nMedium                    : Air\r\n"
        "ZeroReference             : 0.1\r\nGainReference             : 0.3\r\n"
        "ZeroFit                   : -0.010000000000\r\nGainFit                   : 0.200000000000\r\n"
        "ROI-Fit (chan)            : 5\r\nROI-Fit (chan)            : 40\r\n"
        "LiveTime                  : 100.000000000000\r\nTrueTime                  : 112.500000000000\r\n"
        f"OutputCounts              : {sum(counts)}\r\nNrOfChannels              : {N_CHANNELS}\r\n"
        "Energy (keV)\tCounts\tBackground\tFit\t\r\n"
    )
    return header + "".join(f"{-0.01 + 0.2 * i:.7g}\t{n}\t1.5\t{n}.25\t\r\n" for i, n in enumerate(counts))


def spe_text() -> str:
    counts = sample_counts()
    rows = [counts[i : i + 8] for i in range(0, N_CHANNELS, 8)]
    lines = "".join("".join(f"{n:9d}." for n in row) + "\n" for row in rows)
    return (
        "$SPEC_ID:\nore 17\n$SPEC_REM:\nDET# 1\n$DATE_MEA:\n02/09/2018 10:03:36\n$MEAS_TIM:\n100 112.5\n"
        f"$DATA:\n0 {N_CHANNELS - 1}\n{lines}$ROI:\n0\n$ENER_FIT:\n-0.05 0.2\n"
        "$MCA_CAL:\n3\n-5.0000E-002 2.0003E-001 0.000000E+000 keV\n"
    )


def mca_text() -> str:
    lines = "".join(f"{n}\n" for n in sample_counts())
    return (
        "<<PMCA SPECTRUM>>\nTAG - live_data\nDESCRIPTION - ore 17\nGAIN - 3\nLIVE_TIME - 100.000000\n"
        "REAL_TIME - 112.500000\nSTART_TIME - 06/07/2024 12:04:33\n<<CALIBRATION>>\nLABEL - Channel\n"
        "5 0.95\n20 3.95\n40 7.95\n<<ROI>>\n15 25\n<<DATA>>\n"
        f"{lines}<<END>>\n<<DP5 CONFIGURATION>>\nGAIN=60.023;    Total Gain\n"
        f"MCAC={N_CHANNELS};    MCA Channels\n"
        "<<DP5 CONFIGURATION END>>\n<<DPP STATUS>>\nDead Time: 11.1%\n<<DPP STATUS END>>\n"
    )


def sample_measurement(specimen: str = "ore 17", n_conditions: int = 2) -> Measurement:
    spectra = {}
    for k in range(n_conditions):
        condition = ExcitationCondition(name=f"{15 + k} kV", anode="Rh", tube_voltage_kv=15.0 + k, filter="none")
        spectra[condition.name] = Spectrum(
            counts=np.array(sample_counts()) + k,
            live_time_s=100.0 + k,
            real_time_s=112.5 + k,
            energy_scale=EnergyScale(zero_kev=-0.05, gain_kev=0.2 + 0.01 * k),
            condition=condition,
            metadata={"operator": "Ångström", "note": "two\nlines"},
        )
    source = SourceFile(path="ore-17.csv", sha256="0" * 64)
    return Measurement(specimen=specimen, spectra=spectra, sources=(source,))


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a file under a name, and say where it is."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bytes]]:
    """Format name -> file name and bytes of a small valid file."""
    path = tmp_path_factory.mktemp("samples") / "ore-17.h5"
    write_hdf5(path, [sample_measurement()])
    texts = {
        "delimited": ("ore-17.csv", csv_text()),
        "emsa": ("ore-17.msa", emsa_text()),
        "epsilon_mp2": ("ore-17.mp2", mp2_text()),
        "ortec_spe": ("ore-17.spe", spe_text()),
        "amptek_mca": ("ore-17.mca", mca_text()),
    }
    return {name: (file, text.encode()) for name, (file, text) in texts.items()} | {
        "nexus_hdf5": ("ore-17.h5", path.read_bytes())
    }


@pytest.fixture(scope="session")
def counts() -> list[int]:
    """The counts of every sample."""
    return sample_counts()


@pytest.fixture(scope="session")
def measurement_of() -> Callable[..., Measurement]:
    """Make a measurement with a given name and number of conditions."""
    return sample_measurement
