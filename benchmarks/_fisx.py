"""fisx as the peer of the matrix engine: its intensities, and its constants in our model."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import fisx
import numpy as np
from numpy.typing import NDArray

from xrfree.instrument import Absorber, Detector, InstrumentCondition, Tube
from xrfree.matrix.fundamental import Excitation

FloatArray = NDArray[np.float64]

DETECTOR = Detector(crystal="Si", thickness_cm=0.045)
ORE = {
    "Fe": 0.40, "O": 0.335, "Si": 0.04, "Ca": 0.06, "Al": 0.01, "Mg": 0.008, "P": 0.012, "S": 0.01, "F": 0.03,
    "K": 0.004, "Ti": 0.01, "V": 0.002, "Mn": 0.01, "Zn": 0.002, "Sr": 0.003, "Nb": 0.004, "Ba": 0.02, "La": 0.011,
    "Ce": 0.02, "Pr": 0.002, "Nd": 0.006, "Sm": 0.0006, "Zr": 0.0004,
}  # fmt: skip
"""A rare-earth iron ore of 23 elements."""
BEAD = {
    "B": 0.19, "Li": 0.06, "O": 0.679, "Fe": 0.05, "Ca": 0.006, "Si": 0.005, "Ti": 0.001, "Ba": 0.002, "La": 0.002,
    "Ce": 0.003, "Nd": 0.001, "Sm": 0.0002, "Nb": 0.0008,
}  # fmt: skip
"""A bead of iron ore in borate."""


def condition(voltage_kv: float) -> InstrumentCondition:
    """Rhodium tube behind 125 µm of beryllium, 45 degrees in and out."""
    return InstrumentCondition(
        name=f"Rh {voltage_kv:g} kV",
        tube=Tube(
            anode="Rh",
            voltage_kv=voltage_kv,
            window=(Absorber(formula="Be", areal_density_g_cm2=0.0231),),
            electron_incidence_rad=np.pi / 2,
            take_off_angle_rad=np.radians(25.0),
        ),
        incidence_angle_rad=np.pi / 4,
        take_off_angle_rad=np.pi / 4,
        energy_zero_kev=0.0,
        energy_gain_kev=0.01,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Photons of fisx of each line per incident photon, shape (n_lines,); NaN where it has no such line."""

    primary: FloatArray
    secondary: FloatArray
    tertiary: FloatArray
    seconds: float


def library(contents: dict[str, float]) -> Any:
    """Constants of fisx as PyMca uses them, and the specimen as a material."""
    elements = fisx.Elements()
    elements.initializeAsPyMca()
    material = fisx.Material("Specimen", 1.0, 10.0)
    material.setComposition(contents)
    elements.addMaterial(material)
    return elements


def rates(elements: Any, model: Excitation, *, order: int = 3) -> Rates:
    """Intensities of a thick specimen excited by the photons of `model`; order 1 is primary alone, 3 is tertiary."""
    setup = fisx.XRF()
    setup.setBeam(model.energy_kev.tolist(), (model.flux / model.flux.sum()).tolist())
    setup.setGeometry(45.0, 45.0)
    setup.setSample([["Specimen", 1.0, 10.0]])
    families = sorted({f"{line.element} {line.shell[0]}" for line in model.lines})
    begun = time.perf_counter()
    answer = setup.getMultilayerFluorescence(
        families, elements, secondary=order - 1, useMassFractions=1, useGeometricEfficiency=0
    )
    seconds = time.perf_counter() - begun
    found = np.full((3, len(model.lines)), np.nan)
    for k, line in enumerate(model.lines):
        layers = answer.get(f"{line.element} {line.shell[0]}")
        entry = None if layers is None else layers[0].get(line.transition.replace("-", ""))
        if entry is not None:
            # fisx counts coherent scattering as secondary excitation; xrfree has a place of its own for it.
            coherent = sum(v for name, v in entry.items() if name.startswith("coherent"))
            found[:, k] = entry["primary"], entry["secondary"] - coherent, entry.get("tertiary", 0.0)
    return Rates(primary=found[0], secondary=found[1], tertiary=found[2], seconds=seconds)


def with_fisx_constants(model: Excitation, elements: Any) -> Excitation:
    """`model` with fisx's attenuation, photo-ionisation, yields, Coster-Kronig rates and line fractions."""
    exciting = np.array([line.energy_kev for line in model.exciting_lines])
    tube, excited = (np.zeros((len(model.groups), energy.size)) for energy in (model.energy_kev, exciting))
    share: dict[tuple[str, str], float] = {}
    for index, (element, shell) in enumerate(model.groups):
        tube[index] = _production(elements, element, shell, model.energy_kev)
        excited[index] = _production(elements, element, shell, exciting)
        share |= _line_shares(elements, element, shell, model.condition.tube.voltage_kv)
    own, others = (
        np.array([share.get((line.element, line.transition.replace("-", "")), 0.0) for line in lines])
        for lines in (model.lines, model.exciting_lines)
    )
    return replace(
        model,
        line_fraction=own,
        exciting_fraction=others,
        tube_attenuation=_attenuation(elements, model.elements, model.energy_kev),
        line_attenuation=_attenuation(elements, model.elements, model.line_energy_kev),
        exciting_attenuation=_attenuation(elements, model.elements, exciting),
        group_production=tube,
        exciting_production=excited,
    )


def _attenuation(elements: Any, names: tuple[str, ...], energy: FloatArray) -> FloatArray:
    return np.array([elements.getMassAttenuationCoefficients(name, energy.tolist())["total"] for name in names])


def _production(elements: Any, element: str, shell: str, energy: FloatArray) -> FloatArray:
    """Radiative decays of a subshell per photon and mass per area: fisx's excitation factors of all its lines."""
    made = np.zeros(energy.size)
    for k, e in enumerate(energy):
        for name, entry in elements.getExcitationFactors(element, float(e))[0].items():
            if name.startswith(shell):
                made[k] += entry["rate"]
    return made


def _line_shares(elements: Any, element: str, shell: str, energy: float) -> dict[tuple[str, str], float]:
    found = elements.getExcitationFactors(element, energy)[0]
    mine = {(element, name): entry["rate"] for name, entry in found.items() if name.startswith(shell)}
    total = sum(mine.values())
    return {line: rate / total for line, rate in mine.items()} if total > 0.0 else {}
