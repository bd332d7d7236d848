"""Spectra and calibrations of the demonstration, made by xrfree's own model of the example instrument.

    python tools/make_demo.py calibration

writes below the named folder

    fitted/example-edxrf.toml       the instrument, calibrated with simulated pure compounds
    fitted/iron-ore-edxrf.toml      the calibration, from simulated standards
    spectra/demo/                   spectra of four ores, their list, and the truth they were made of

All seeds are fixed: the same software and tables give the same files. They say nothing about nature.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrfree.calibration_fit import calibrate
from xrfree.closure import specimen_elements, whole_composition
from xrfree.composition import USUAL_OXIDES, Composition, element_fraction
from xrfree.documents.calibration import write_calibration
from xrfree.documents.instrument import instrument_sha256, load_instrument, write_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.instrument import Instrument
from xrfree.instrument_fit import PureCompound, calibrate_instrument
from xrfree.method import Method
from xrfree.quantification import prepare
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue
from xrfree.simulation import simulate
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import Measurement, Spectrum

FloatArray = NDArray[np.float64]

LOG_SCALE = {"low": -10.8, "high": -10.6}
"""Of the simulated instrument: some 60 000 counts per second from an iron ore."""
ORE_TIME_S = 300.0
COMPOUND_TIME_S = 120.0
CERTIFICATE_RELATIVE_U = 0.005
DENSITY_G_CM3, THICKNESS_CM = 3.2, 0.5
N_STANDARDS = 10
COMPOUNDS = (
    "La2O3", "CeO2", "Pr6O11", "Nd2O3", "Sm2O3", "BaSO4", "Fe2O3", "TiO2", "V2O5", "Cr2O3", "MnO2", "CaF2",
    "SiO2", "Nb2O5",
)  # fmt: skip

# Contents, kg/kg, of a dry pressed powder: lateritic ores of a carbonatite, rounded from OREAS 460, 463 and
# 465 (calibration/certificates), and a plain hematite without rare earths.
ORES: Mapping[str, Mapping[str, float]] = {
    "laterite-low": {
        "La": 0.00137, "Ce": 0.00180, "Pr": 0.00024, "Nd": 0.00078, "Sm": 0.00011, "Nb": 0.00070,
        "Ca": 0.0070, "Ti": 0.0120, "V": 0.00026, "Cr": 0.00039, "Mn": 0.0004, "Fe": 0.188, "Ba": 0.00081,
        "Al": 0.067, "Si": 0.233, "P": 0.0020, "S": 0.0003, "K": 0.0123,
        "Zn": 0.00012, "Pb": 0.00007, "Th": 0.00012, "Sr": 0.00030, "Y": 0.00006, "Zr": 0.00047,
    },
    "laterite-middle": {
        "La": 0.0050, "Ce": 0.0066, "Pr": 0.0010, "Nd": 0.0037, "Sm": 0.00054, "Nb": 0.0015,
        "Ca": 0.0122, "Ti": 0.0192, "V": 0.00036, "Cr": 0.00057, "Mn": 0.0012, "Fe": 0.346, "Ba": 0.0011,
        "Al": 0.055, "Si": 0.125, "P": 0.0063, "S": 0.0007, "K": 0.0012,
        "Zn": 0.00042, "Pb": 0.00012, "Th": 0.00029, "Sr": 0.00096, "Y": 0.00018, "Zr": 0.00058,
    },
    "laterite-high": {
        "La": 0.0241, "Ce": 0.0395, "Pr": 0.0038, "Nd": 0.0118, "Sm": 0.00136, "Nb": 0.0047,
        "Ca": 0.0090, "Ti": 0.060, "V": 0.00053, "Cr": 0.00054, "Mn": 0.0026, "Fe": 0.345, "Ba": 0.0044,
        "Al": 0.062, "Si": 0.0153, "P": 0.037, "S": 0.0019, "K": 0.0002,
        "Zn": 0.00092, "Pb": 0.00051, "Th": 0.00087, "Sr": 0.0052, "Y": 0.00052, "Zr": 0.0019,
    },
    "hematite": {
        "Ca": 0.0010, "Ti": 0.0008, "V": 0.00005, "Cr": 0.00006, "Mn": 0.0006, "Fe": 0.620, "Ba": 0.0001,
        "Al": 0.010, "Si": 0.025, "P": 0.0006, "S": 0.0001, "K": 0.0002,
        "Zn": 0.00002, "Pb": 0.00001, "Sr": 0.00002, "Zr": 0.00002,
    },
}  # fmt: skip
LOSS_ON_IGNITION = {
    "laterite-low": 0.025,
    "laterite-middle": 0.008,
    "laterite-high": 0.008,
    "hematite": 0.015,
}

# Ranges, kg/kg, between which the contents of the standards are spread evenly in their logarithms, each
# element independently of all others, so that nothing in the calibration is collinear.
STANDARD_RANGES: Mapping[str, tuple[float, float]] = {
    "La": (0.0005, 0.03), "Ce": (0.001, 0.05), "Pr": (0.0001, 0.006), "Nd": (0.0004, 0.02),
    "Sm": (0.0001, 0.003), "Nb": (0.0003, 0.008),
    "Ca": (0.003, 0.05), "Ti": (0.001, 0.06), "V": (0.0001, 0.002), "Cr": (0.0001, 0.002),
    "Mn": (0.0005, 0.02), "Ba": (0.0005, 0.03), "P": (0.001, 0.03), "S": (0.0003, 0.01), "K": (0.0003, 0.01),
    "Zn": (0.0001, 0.002), "Pb": (0.00005, 0.001), "Th": (0.0001, 0.001), "Sr": (0.0002, 0.005),
    "Y": (0.00005, 0.001), "Zr": (0.0002, 0.003), "Mg": (0.001, 0.03),
}  # fmt: skip
FLUORINE_LEFT = 0.03
"""What standards leave to the remainder of the method's rule; iron, silicon and aluminium share the rest."""


def powder(loss_on_ignition: float | None = None) -> Specimen:
    """A pressed powder."""
    return Specimen(
        form=SpecimenForm.PRESSED_POWDER,
        density_g_cm3=DENSITY_G_CM3,
        thickness_cm=THICKNESS_CM,
        loss_on_ignition=loss_on_ignition,
    )


def measured(
    name: str,
    contents: Composition,
    instrument: Instrument,
    conditions: Iterable[str],
    *,
    seed: int,
    live_time_s: float,
) -> Measurement:
    """Simulated spectra of one specimen; a bench spectrometer needs no more than 2048 channels of either."""
    spectra = {
        condition: simulate(contents, powder(), instrument, condition, live_time_s=live_time_s, seed=100 * seed + i)
        for i, condition in enumerate(conditions)
    }
    return Measurement(specimen=name, spectra=spectra)


def ore_contents(seen: Mapping[str, float], specimen: Specimen, method: Method) -> Composition:
    """All elements of an ore, those that no line shows included."""
    elements = specimen_elements(method)
    whole = whole_composition(seen, specimen, method.unseen, elements)
    kept = [whole[elements.index(element)] / content for element, content in seen.items()]
    if not np.allclose(kept, 1.0):
        raise SystemExit(f"oxides of {dict(seen)} and ignition loss sum to {1.0 / min(kept):.4f}: lower one")
    return Composition(elements=elements, mass_fraction=whole)


def calibrated_instrument(method: Method, truth: Instrument, stated: Instrument) -> Instrument:
    """The instrument after `xrfree calibrate-instrument` with simulated pure compounds."""
    compounds = {formula: PureCompound(contents={formula: 1.0}, specimen=powder()) for formula in COMPOUNDS}
    measurements = {
        formula: measured(
            formula,
            Composition.of({formula: 1.0}),
            truth,
            ("low", "high") if formula in ("Fe2O3", "Nb2O5") else ("low",),
            seed=k,
            live_time_s=COMPOUND_TIME_S,
        )
        for k, formula in enumerate(COMPOUNDS)
    }
    return calibrate_instrument(measurements, compounds, method, stated).instrument


def standards() -> dict[str, tuple[dict[str, float], Specimen]]:
    """Contents of the standards, a Latin hypercube over the logarithms of their ranges, and their form."""
    generator = np.random.default_rng(460)
    made = {}
    columns = {e: low * (high / low) ** _steps(generator) for e, (low, high) in STANDARD_RANGES.items()}
    iron_shares = 0.4 + 0.5 * _steps(generator)
    losses = (0.01 + 0.09 * _steps(generator)).round(3)
    for k, (iron_share, loss) in enumerate(zip(iron_shares.tolist(), losses.tolist(), strict=True)):
        seen = {element: float(column[k]) for element, column in columns.items()}
        oxides = sum(w / element_fraction(USUAL_OXIDES[e], e) for e, w in seen.items())
        rest = 1.0 - FLUORINE_LEFT - loss - oxides
        shares = {"Fe": iron_share, "Si": 0.7 * (1.0 - iron_share), "Al": 0.3 * (1.0 - iron_share)}
        for element, share in shares.items():
            seen[element] = rest * share * element_fraction(USUAL_OXIDES[element], element)
        made[f"S{k + 1:02}"] = (seen, powder(loss))
    return made


def _steps(generator: np.random.Generator) -> FloatArray:
    """One number in each of N equal parts of 0 to 1, in random order."""
    return (generator.permutation(N_STANDARDS) + generator.random(N_STANDARDS)) / N_STANDARDS


def certificate(name: str, seen: Mapping[str, float], generator: np.random.Generator) -> ReferenceMaterial:
    """Reference values that are off by as much as they say."""
    values = tuple(
        ReferenceValue(
            component=element,
            mass_fraction=float(content * (1.0 + CERTIFICATE_RELATIVE_U * generator.normal())),
            expanded_uncertainty=2.0 * CERTIFICATE_RELATIVE_U * content,
            coverage_factor=2.0,
            assigned_by=Assignment.WEIGHING,
            basis=Basis.SPECIMEN,
        )
        for element, content in seen.items()
    )
    return ReferenceMaterial(name=name, values=values, source="simulated")


def write_spectrum(path: Path, specimen: str, spectrum: Spectrum) -> None:
    """Write the generic table: header `# key: value`, then channel,counts."""
    condition, scale = spectrum.condition, spectrum.energy_scale
    header = {
        "specimen": specimen,
        "condition": condition.name,
        "origin": f"simulated by tools/make_demo.py, {spectrum.metadata['origin'].split(', ')[1]}",
        "tube_anode": condition.anode,
        "tube_kv": condition.tube_voltage_kv,
        "filter": condition.filter,
        "atmosphere": "vacuum",
        "live_time_s": spectrum.live_time_s,
        "real_time_s": spectrum.real_time_s,
        "energy_zero_kev": scale.zero_kev,
        "energy_gain_kev": scale.gain_kev,
        "channels": spectrum.n_channels,
    }
    lines = [f"# {key}: {value}" for key, value in header.items()]
    lines += ["channel,counts", *(f"{i},{n}" for i, n in enumerate(spectrum.counts.tolist()))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_rows(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV table."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def make_calibrations(folder: Path, method: Method, truth: Instrument, stated: Instrument) -> None:
    """Write the calibrated instrument and the calibration."""
    comment = "Made by tools/make_demo.py from simulated spectra: for the demonstration only."
    instrument = calibrated_instrument(method, truth, stated)
    instrument = replace(instrument, sha256=instrument_sha256(instrument))
    write_instrument(folder / "example-edxrf.toml", instrument, comment=comment)
    generator = np.random.default_rng(461)
    made = standards()
    found = calibrate(
        {
            name: measured(
                name,
                ore_contents(seen, specimen, method),
                truth,
                truth.conditions,
                seed=50 + k,
                live_time_s=ORE_TIME_S,
            )
            for k, (name, (seen, specimen)) in enumerate(made.items())
        },
        {name: certificate(name, seen, generator) for name, (seen, _) in made.items()},
        {name: specimen for name, (_, specimen) in made.items()},
        prepare(method, instrument),
        name="demonstration",
    )
    # A file that changes only when its content does.
    found = replace(found, created="")
    write_calibration(folder / "iron-ore-edxrf.toml", found, comment=comment)


def make_spectra(folder: Path, method: Method, truth: Instrument) -> None:
    """Write the spectra of the ores, their list, and what they were made of."""
    for k, (name, seen) in enumerate(ORES.items()):
        contents = ore_contents(seen, powder(LOSS_ON_IGNITION[name]), method)
        measurement = measured(name, contents, truth, truth.conditions, seed=80 + k, live_time_s=ORE_TIME_S)
        for condition, spectrum in measurement.spectra.items():
            write_spectrum(folder / f"{name}.{condition}.csv", name, spectrum)
    write_rows(
        folder / "specimens.csv",
        "specimen,role,form,density_g_cm3,thickness_cm,loss_on_ignition",
        [
            (
                name,
                "unknown",
                SpecimenForm.PRESSED_POWDER,
                DENSITY_G_CM3,
                THICKNESS_CM,
                LOSS_ON_IGNITION[name],
            )
            for name in ORES
        ],
    )
    write_rows(
        folder / "truth.csv",
        "specimen,component,mass_fraction",
        [
            (name, element, seen.get(element, 0.0))
            for name, seen in ORES.items()
            for element in method.quantified_elements
        ],
    )


def main(arguments: list[str]) -> int:
    """Write everything below the folder that the only argument names."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    root = Path(arguments[0])
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    stated = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
    truth = replace(stated, log_scale=LOG_SCALE)
    for part in ("fitted", "spectra/demo"):
        (root / part).mkdir(parents=True, exist_ok=True)
    make_spectra(root / "spectra" / "demo", method, truth)
    make_calibrations(root / "fitted", method, truth, stated)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
