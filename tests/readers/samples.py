"""Small files of every reader, for those who damage them: reader -> files, each with its name and content."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import h5py
import numpy as np

from xrfree.readers import write_hdf5

HERE = Path(__file__).parent
Files = dict[str, bytes]

VANTA = (
    "sep=,\nReading Id,info,Method Name, Units,Nb Compound,Nb Compound Level,Nb Compound Error,Nb Concentration,"
    "Nb Error 1s,La Compound,La Compound Level,La Compound Error,La Concentration,La Error 1s\n"
    "1,,,,,,,,,,,,,\n2,ore 17,GeoChem,ppm,Nb,52,1,52,1,La,0,60,<LOD,60\n3,ore 18,GeoChem,ppm,Nb,7,1,7,1,La,0,60,0,60\n"
)
NITON = (
    '"Index";"Reading No";"Time";"Type";"Sigma.Value";"Units";"SAMPLE";"Nb";"Nb.Error";"La";"La.Error";'
    '"SiO2";"SiO2.Error"\n'
    '1;17;"04.05.23 13:14";"Mining";2;"ppm";"ore 17";"52,5";"2,1";"< LOD";"57,16";"12000";0\n'
    '2;18;"04.05.23 13:15";"Mining";2;"ppm";"ore 18";"7,5";"2,1";NA;NA;"11000";0\n'
)
EPSILON = (
    "  \t    \t   \t    \t   \tNb  \t    \t    \t    \tLa \t    \t    \t    \n"
    "Nr\tIdent\tSeq\tTime\tPos\tIraw\tInet\tC\tUnit\tIraw\tInet\tC\tUnit\n"
    "1\tore 17\t1\t10-Jan-2019 14:45:47\t1\t1.5\t1.2\t30.5\tppm\t-2.5\t-3\t-0.2\tppm\n"
    "Ave of 1\t\t\t\t\t1.5\t1.2\t30.5\tppm\t-2.5\t-3\t-0.2\tppm\n"
)
S1 = "File #,Sample ID,Units,Error Multiplier,Nb,Nb Err,La,La Err,,\n1,ore 17,ppm,3,52,3,<LOD,60,0.01,0.02\n"
ZSX = (
    '"","","","","","Nb","","La2O3",""\n"","","","","","ppm","","mass%",""\n'
    '"1","ore 17","2020- 3-11 13:54","a","b","52","","0.012","H"\n"Average","","","","52","","0.012",""\n'
)
ZSX_RATES = ZSX.replace('"ppm"', '"kcps"').replace('"mass%"', '"cps"').replace("La2O3", "La")
SPECTRAPLUS = (
    "Sample\tDate\tAl (PPM)\tP\tFe (Int)\tCe (Int)\n"
    "ore 17\t04.05.2023\t784\t0,13 %\t2,3121\t0,05\nore 18\t04.05.2023\t700\t357 PPM\t2,5\t0,04\n"
)
INTENSITIES = (
    "specimen,line,group,kind,rate_kcps,counting_time_s,two_theta_deg,role,position,operator\n"
    "bead 1,Ce-LA,Ce L,gross,0.4,100,79.01,peak,,me\nbead 1,Ce-LA,,,0.025,40,80.5,background,BG1,me\n"
    "bead 1,Ce-LA,,,1.25,20,,overlap,Ti-KA,me\nbead 2,Ce-LA,Ce L,gross,0.5,100,79.01,peak,,you\n"
)
SCAN = (
    "# specimen: bead 1\n# crystal_2d_angstrom: 4.0267\n# counting_time_s: 2\n"
    "two_theta_deg,counts\n57,10\n57.5,400\n58,12\n"
)
NOT_SPECTRA = {
    "scan.mda": bytes.fromhex("3fa66666 00000001 00000002 00000009 0000000b 00000001 00000000"),
    "readings.ndt": b"\0\1" + b"\x83\xe0\xc3\x43" + b"\0" * 200,
    "standards.csv": b"PIQUANT, Calibration File\n1,2\n",
    "steel.cfg": b"[fit]\nxmin = 3\n",
}


def files_of_readers() -> dict[str, Files]:
    """Small files of every reader that needs no other package, by the name of its module, or of its table."""
    layouts = SimpleNamespace(**run_path(str(HERE / "writers.py")))
    texts = SimpleNamespace(**run_path(str(HERE / "conftest.py")))
    counts = texts.sample_counts()
    phases = [layouts.pdz_spectrum(counts, phase=i, kv=10.0 * i) for i in (1, 2, 3)]
    header, _, body = texts.mp2_text().partition("Energy (keV)")
    columns = [line.split("\t") for line in body.splitlines()[1:]]
    said: dict[str, dict[str, str | bytes]] = {
        "amptek_mca": {"a.mca": texts.mca_text()},
        "bruker_pdz": {"a.pdz": layouts.pdz25(phases), "b.pdz": layouts.pdz24([*counts, *[0] * 464])},
        "bruker_spx": {"a.spx": layouts.spx(counts)},
        "bruker_text": {"a.txt": layouts.esprit(counts), "b.csv": layouts.handheld_csv(counts)},
        "canberra_cnf": {"a.cnf": layouts.cnf(counts)},
        "delimited": {"a.csv": texts.csv_text()},
        "emsa": {"a.msa": texts.emsa_text(), "b.msa": two_detectors(counts)},
        "epsilon_mp2": {"a.mp2": texts.mp2_text(), "b.mps": header + "".join(f"{row[1]}\r\n" for row in columns)},
        "gsecars_mca": {"a.xrf": layouts.gsecars(counts)},
        "hdf5_other": {"a.h5": hdf5(_nxdata, counts), "b.h5": hdf5(_maps, counts), "c.h5": hdf5(_pymca, counts)},
        "iec1455": {"a.iec": layouts.iec(counts)},
        "jeol_eds": {"a.eds": layouts.jeol(counts)},
        "nexus_hdf5": {"a.h5": ours([texts.sample_measurement()])},
        "olympus_csv": {"a.csv": layouts.delta(counts), "b.csv": turned(layouts.delta(counts))},
        "ortec_chn": {"a.chn": layouts.chn(counts)},
        "ortec_spc": {"a.spc": layouts.spc(counts), "b.spc": layouts.spc(counts, real=True)},
        "ortec_spe": {"a.spe": texts.spe_text()},
        "other_files": dict(NOT_SPECTRA),
        "shimadzu_csv": {"a.csv": layouts.shimadzu(counts)},
        "spec_file": {"a.spec": layouts.spec(counts)},
        "two_theta_scan": {"a.csv": SCAN},
        "table: Vanta": {"a.csv": VANTA},
        "table: Niton": {"a.csv": NITON},
        "table: Epsilon": {"a.txt": EPSILON},
        "table: S1": {"a.csv": S1},
        "table: ZSX": {"a.csv": ZSX, "b.csv": ZSX_RATES},
        "table: SPECTRAplus": {"a.txt": SPECTRAPLUS},
        "table: intensities": {"a.csv": INTENSITIES},
    }
    return {
        reader: {file: content if isinstance(content, bytes) else content.encode() for file, content in files.items()}
        for reader, files in said.items()
    }


def two_detectors(counts: list[int]) -> str:
    """EMSA of the type YY: a column, a scale and a live time for each detector."""
    return (
        "#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : TC202v1.0\n#TITLE       : ore 17\n"
        f"#NPOINTS     : {len(counts)}.\n#NCOLUMNS    : 2\n#XUNITS      : eV\n#YUNITS      : COUNTS\n"
        "#DATATYPE    : YY\n#XPERCHAN    : 200.0, 201.0\n#OFFSET      : -50.0, -40.0\n#SIGNALTYPE  : XRF\n"
        "#LIVETIME    : 58.25, 57.125\n"
        "#REALTIME    : 60.5, 60.5\n#BEAMKV      : 28.0\n#SPECTRUM    : \n"
        + "".join(f"{n}, {n + 1}\n" for n in counts)
        + "#ENDOFDATA   : \n"
    )


def turned(table: str) -> str:
    """A table with its rows as columns; the channels get their numbers as names."""
    rows = [line.split(",") for line in table.splitlines()]
    channel = iter(range(len(rows)))
    named = [[row[0] or str(next(channel)), *row[1:]] for row in rows]
    return "".join(",".join(row) + "\r\n" for row in zip(*named, strict=True))


def hdf5(fill: Callable[[h5py.File, np.ndarray], None], counts: list[int]) -> bytes:
    """The bytes of an HDF5 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        with h5py.File(path, "w") as opened:
            fill(opened, np.array(counts))
        return path.read_bytes()


def ours(measurements: Iterable[object]) -> bytes:
    """The bytes of a file that xrfree has written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        write_hdf5(path, measurements)
        return path.read_bytes()


def _nxdata(opened: h5py.File, counts: np.ndarray) -> None:
    opened.attrs["default"] = "entry"
    entry = opened.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "xrf"})
    data = entry.create_group("xrf")
    data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": [".", "energy"]})
    data.create_dataset("counts", data=np.array([counts, counts]), compression="gzip", chunks=(1, len(counts)))
    data["energy"] = 0.05 + 0.2 * np.arange(len(counts))
    data["energy"].attrs["units"] = "keV"
    data["live_time"] = [10.0, 11.0]
    data["live_time"].attrs["units"] = "s"


def _maps(opened: h5py.File, counts: np.ndarray) -> None:
    """Channel, y, x; a file that states no energy scale, so that it is refused unless a profile gives one."""
    raw = opened.create_group("MAPS_RAW")
    raw["data_a"] = np.repeat(counts.astype("i2")[:, None, None], 2, axis=2)
    raw["livetime"] = np.ones((1, 1, 2), dtype="f4")


def _pymca(opened: h5py.File, counts: np.ndarray) -> None:
    group = opened.create_group("1.1/measurement/mca_0")
    group["data"] = counts
    group["info/calibration"] = np.array([-0.05, 0.2, 1e-7])
    group["info/live_time"] = 58.25
    group["info/live_time"].attrs["units"] = "s"
