"""Certificate documents of OREAS materials from a table of their certified values.

    python tools/import_oreas.py TABLE.csv calibration/certificates

The table has the columns crm, method, constituent, value, unit, between_laboratory_sd: facts from the
producer's data packs.

One value is kept per element, chosen like this:

1. Values by fusion. Where several fusion methods give one, X-ray fluorescence comes first for the elements
   of a major-oxide analysis (Al Ca Fe K Mg Mn Na P Si Ti) and ICP for all others.
2. Loss on ignition by thermogravimetry; carbon and sulphur by combustion where fusion gives none.
3. Values by four-acid digestion, only where there is none so far, and never of an element whose minerals
   resist it (rare earths, Y, Nb, Ta, Zr, Hf, Ti, Th).

Aqua regia and fire assay are left out. A row without standard deviation, or with one above half the value,
is left out and listed: in OREAS 170a and 170b that column seems to hold the lower confidence limit instead.
The table gives no certificate uncertainty, so the between-laboratory standard deviation is stored as such,
and serves as a conservative standard uncertainty.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from xrfree.documents.certificates import save_certificate
from xrfree.reference import LOSS_ON_IGNITION, Assignment, Basis, ReferenceMaterial, ReferenceValue

LARGEST_RELATIVE_SD = 0.5

ASSIGNMENTS = {
    "Borate Fusion XRF": Assignment.FUSION_XRF,
    "Fusion X-Ray Fluorescence": Assignment.FUSION_XRF,
    "Borate / Peroxide Fusion ICP": Assignment.FUSION_ICP,
    "Peroxide Fusion ICP": Assignment.FUSION_ICP,
    "Fusion ICP": Assignment.FUSION_ICP,
    "Fusion": Assignment.FUSION,
    "Thermogravimetry": Assignment.THERMOGRAVIMETRY,
    "Infra Red Combustion": Assignment.COMBUSTION,
    "Infrared Combustion": Assignment.COMBUSTION,
    "4-Acid Digestion": Assignment.FOUR_ACID,
    "4-Acid Digest": Assignment.FOUR_ACID,
    "4 Acid": Assignment.FOUR_ACID,
}
"""Methods of the table that are taken over; values by others are not."""

XRF_FIRST = frozenset(["Al", "Ca", "Fe", "K", "Mg", "Mn", "Na", "P", "Si", "Ti"])

FUSION_XRF_ORDER = (Assignment.FUSION_XRF, Assignment.FUSION_ICP, Assignment.FUSION)
FUSION_ICP_ORDER = (Assignment.FUSION_ICP, Assignment.FUSION, Assignment.FUSION_XRF)
OTHER_ORDER = (Assignment.THERMOGRAVIMETRY, Assignment.COMBUSTION, Assignment.FOUR_ACID)

KG_PER_KG = {"wt.%": 1e-2, "ppm": 1e-6, "ppb": 1e-9}

COMPONENTS = {
    "LOI1000": LOSS_ON_IGNITION,
    "Aluminium oxide": "Al2O3",
    "Calcium oxide": "CaO",
    "Iron oxide": "Fe2O3",
    "Magnesium oxide": "MgO",
    "Manganese oxide": "MnO",
    "Phosphorus oxide": "P2O5",
    "Potassium oxide": "K2O",
    "Silicon dioxide": "SiO2",
    "Sodium oxide": "Na2O",
    "Titanium dioxide": "TiO2",
    "Cerium": "Ce",
    "Cobalt": "Co",
    "Copper": "Cu",
    "Dysprosium": "Dy",
    "Erbium": "Er",
    "Europium": "Eu",
    "Gadolinium": "Gd",
    "Holmium": "Ho",
    "Iron": "Fe",
    "Lanthanum": "La",
    "Lead": "Pb",
    "Lutetium": "Lu",
    "Magnesium": "Mg",
    "Manganese": "Mn",
    "Molybdenum": "Mo",
    "Neodymium": "Nd",
    "Nickel": "Ni",
    "Phosphorous": "P",
    "Potassium": "K",
    "Praseodymium": "Pr",
    "Samarium": "Sm",
    "Terbium": "Tb",
    "Thorium": "Th",
    "Thulium": "Tm",
    "Titanium": "Ti",
    "Uranium": "U",
    "Vanadium": "V",
    "Ytterbium": "Yb",
    "Yttrium": "Y",
}
"""Names of constituents that are not yet symbols or formulae."""

COMMENT = """\
One value per element; by which method, says tools/import_oreas.py.
The between-laboratory SD bounds the standard uncertainty of a value from above."""


def rounded(value: float) -> float:
    """Value without the digits that the change of unit has added."""
    return float(f"{value:.6g}")


def refusal(row: Mapping[str, str]) -> str:
    """Why a row cannot be taken over; empty when it can."""
    if row["method"] not in ASSIGNMENTS:
        return "method not taken over"
    if not row["between_laboratory_sd"]:
        return "no standard deviation"
    if float(row["between_laboratory_sd"]) > LARGEST_RELATIVE_SD * float(row["value"]):
        return f"standard deviation {row['between_laboratory_sd']} of a value {row['value']}"
    return ""


def reference_value(row: Mapping[str, str]) -> ReferenceValue:
    """Reference value of a row of the table."""
    factor = KG_PER_KG[row["unit"]]
    return ReferenceValue(
        component=COMPONENTS.get(row["constituent"], row["constituent"]),
        mass_fraction=rounded(float(row["value"]) * factor),
        between_laboratory_sd=rounded(float(row["between_laboratory_sd"]) * factor),
        assigned_by=ASSIGNMENTS[row["method"]],
        basis=Basis.DRY,
    )


def analyte_of(value: ReferenceValue) -> str:
    """Element that a value is about, whether it is written as element or as oxide; LOI is its own."""
    symbols = value.elements - {"O"}
    return min(symbols) if symbols else value.component


def rank(value: ReferenceValue) -> int:
    """Place of a value among those of one element: the lowest is kept."""
    fusion = FUSION_XRF_ORDER if analyte_of(value) in XRF_FIRST else FUSION_ICP_ORDER
    return (*fusion, *OTHER_ORDER).index(value.assigned_by)


def chosen_values(values: Iterable[ReferenceValue]) -> tuple[ReferenceValue, ...]:
    """One value per element, in alphabetical order, LOI last."""
    usable = sorted((v for v in values if not v.needs_force), key=lambda v: (analyte_of(v), rank(v)))
    best = [next(same) for _, same in groupby(usable, key=analyte_of)]
    return tuple(sorted(best, key=lambda v: (v.component == LOSS_ON_IGNITION, analyte_of(v))))


def report_refusals(name: str, rows: Iterable[Mapping[str, str]]) -> None:
    """List the rows of one material that look wrong."""
    for row in rows:
        reason = refusal(row)
        if reason and row["method"] in ASSIGNMENTS:
            print(f"{name}: {row['constituent']} by {row['method']} left out: {reason}", file=sys.stderr)


def import_material(name: str, rows: list[Mapping[str, str]], folder: Path) -> Path | None:
    """Write the certificate of one material; None when no value of it can be used."""
    report_refusals(name, rows)
    values = chosen_values(reference_value(row) for row in rows if not refusal(row))
    if not values:
        print(f"{name}: no usable value, no certificate written", file=sys.stderr)
        return None
    material = ReferenceMaterial(
        name=name,
        values=values,
        certificate=name,
        source="OREAS, certified values by method from the data pack",
    )
    path = folder / f"{name.lower().replace(' ', '-')}.toml"
    save_certificate(material, path, comment=COMMENT)
    return path


def main(table: Path, folder: Path) -> int:
    """Write a certificate document for every material of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    by_material: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_material.setdefault(row["crm"], []).append(row)
    written = [import_material(name, found, folder) for name, found in by_material.items()]
    print(f"{sum(path is not None for path in written)} certificates in {folder}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
