"""Spectra and documents made for the bench: a drill core of hundreds of files, and standards to calibrate with.

Both are simulated with the model that assays them, so they say nothing of accuracy; that is not what they are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from xrfree.closure import whole_composition
from xrfree.composition import Composition
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.instrument import Instrument
from xrfree.quantification import specimen_elements
from xrfree.simulation import expected_counts

METHOD = "Drill core, one condition"
"""Name of the method that `write_documents` makes."""
LIVE_S = 30.0
CHANNELS = 2048
POWDER = "pressed powder,3.2,0.5"
MEAN = {
    "Fe": 0.40, "Ca": 0.06, "Ti": 0.004, "V": 0.001, "Cr": 0.0005, "Mn": 0.01,
    "Ba": 0.02, "La": 0.012, "Ce": 0.02, "Pr": 0.002, "Nd": 0.007, "Sm": 0.0007,
}  # fmt: skip
_CERTIFIED_U = 0.01
"""Expanded uncertainty of certified contents, relative."""
_GATES = """
[[gates]]
name = "blank of the day"
kind = "blank"
roles = ["blank"]
action = "hold"
required = true

[[gates]]
name = "dead time"
kind = "dead time"
condition = "low"
highest = 0.5
action = "warn"
"""


def write_documents(folder: Path) -> Path:
    """The method for one condition with two gates, and its instrument; the path of the method."""
    folder.mkdir(parents=True)
    method = shipped_path("methods", "iron-ore-scanner-edxrf.toml").read_text(encoding="utf-8")
    method = method.replace("../instruments/example-edxrf.toml", "core-instrument.toml")
    method = method.replace("Rare earths in iron ore, one condition", METHOD)
    (folder / "core-instrument.toml").write_bytes(shipped_path("fitted", "example-edxrf.toml").read_bytes())
    (folder / "core.toml").write_text(method + _GATES, encoding="utf-8")
    return folder / "core.toml"


def write_core(folder: Path, method: Path, n_files: int, *, places: int = 10) -> None:
    """Spectra along a drill core whose contents differ by a twentieth, and the list of its specimens."""
    folder.mkdir()
    contents = _contents(places, spread=0.05, seed=7)
    for place, expected in enumerate(_expected(method, contents)):
        for number in range(place, n_files, places):
            _write(folder / f"P{number:03}.csv", np.random.default_rng(number).poisson(expected))
    rows = "".join(f"P{number:03},unknown,{POWDER}\n" for number in range(n_files))
    (folder / "list.csv").write_text(f"specimen,role,form,density_g_cm3,thickness_cm\n{rows}", encoding="utf-8")


def write_standards(folder: Path, method: Path, n_standards: int) -> None:
    """Spectra of standards, their list and their certificates."""
    folder.mkdir()
    contents = _contents(n_standards, spread=0.5, seed=11)
    names = [f"S{k + 1}" for k in range(n_standards)]
    for k, (name, expected) in enumerate(zip(names, _expected(method, contents), strict=True)):
        _write(folder / f"{name}.csv", np.random.default_rng(100 + k).poisson(expected))
    rows = "".join(f"{name},standard,{POWDER}\n" for name in names)
    (folder / "list.csv").write_text(f"specimen,role,form,density_g_cm3,thickness_cm\n{rows}", encoding="utf-8")
    values = "".join(
        f"{name},{element},{w:.8g},{_CERTIFIED_U * w:.3g},2,specimen\n"
        for name, held in zip(names, contents, strict=True)
        for element, w in held.items()
    )
    head = "specimen,component,mass_fraction,expanded_uncertainty,coverage_factor,basis\n"
    (folder / "certificates.csv").write_text(head + values, encoding="utf-8")


def _contents(n: int, *, spread: float, seed: int) -> list[dict[str, float]]:
    """Contents of specimens, log-normal around the mean; the spread of iron is a fifth of that of the others."""
    draws = np.random.default_rng(seed).standard_normal((n, len(MEAN))).clip(-2.0, 2.0)
    widths = [spread * (0.2 if element == "Fe" else 1.0) for element in MEAN]
    return [
        {e: w * float(np.exp(s * d)) for (e, w), s, d in zip(MEAN.items(), widths, row, strict=True)} for row in draws
    ]


def _expected(path: Path, contents: list[dict[str, float]]) -> Iterator[np.ndarray]:
    """Expected counts of each channel for each composition."""
    method = load_method(path)
    elements, powder = specimen_elements(method), method.specimen
    assert powder is not None
    for held in contents:
        whole = Composition(elements=elements, mass_fraction=whole_composition(held, powder, method.unseen, elements))
        yield expected_counts(whole, powder, _instrument(), "low", live_time_s=LIVE_S, n_channels=CHANNELS)


@cache
def _instrument() -> Instrument:
    return load_instrument(shipped_path("fitted", "example-edxrf.toml"))


def _write(path: Path, counts: np.ndarray) -> None:
    """A CSV file as spectrometers export it."""
    condition = _instrument().conditions["low"]
    head = (
        f"# specimen: {path.stem}\n# condition: low\n# tube_kv: 15\n# live_time_s: {LIVE_S}\n# real_time_s: 33\n"
        f"# energy_zero_kev: {condition.energy_zero_kev}\n# energy_gain_kev: {condition.energy_gain_kev}\n"
        "channel,counts\n"
    )
    rows = "\n".join(f"{i},{n}" for i, n in enumerate(counts.tolist()))
    path.write_text(f"{head}{rows}\n", encoding="utf-8")
