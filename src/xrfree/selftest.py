"""Known answers on this machine: whether the installed version computes what is published, and a record of it.

Each case compares numbers with their expectation and says where that comes from. ISO/IEC 17025:2017, 7.11.2 asks for
such a check before use and after every change of the system.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree import __version__
from xrfree.atomic import TABLES, emission_lines
from xrfree.atomic._tables import atomic_number, total_attenuation
from xrfree.composition import element_fraction
from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.documents.specimens import load_specimens
from xrfree.quality.charts import Centre, ewma
from xrfree.quality.comparison import bland_altman, deming
from xrfree.quality.conformity import Tolerance, conformance_probability, global_risks
from xrfree.quality.duplicates import allowed_relative_deviation, half_even
from xrfree.quality.limits import counting_uncertainty, decision_limit, detection_limit
from xrfree.quality.precision import anova
from xrfree.quality.propagation import effective_degrees_of_freedom, from_draws, propagate
from xrfree.quantification import matched_conditions, prepare, quantify
from xrfree.readers import read_measurement
from xrfree.regression.observations import Observations
from xrfree.regression.solve import ErrorLevel, fit
from xrfree.spectrum import Measurement

FloatArray = NDArray[np.float64]

Check = tuple[float, float, float]
"""Found, expected, and the absolute deviation that is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: name, where its answer is published, and the numbers to compare."""

    name: str
    source: str
    checks: Callable[[], Sequence[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case: its worst deviation over what is allowed, or the error that it ended with."""

    name: str
    source: str
    worst: float
    numbers: tuple[Check, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether every number is as near as is allowed."""
        return self.error == "" and self.worst <= 1.0


SI_RSTV = (
    (196.3052, 196.1240, 196.1890, 196.2569, 196.3403),
    (196.3042, 196.3825, 196.1669, 196.3257, 196.0422),
    (196.1303, 196.2005, 196.2889, 196.0343, 196.1811),
    (196.2795, 196.1748, 196.1494, 196.1485, 195.9885),
    (196.2119, 196.1051, 196.1850, 196.0052, 196.2090),
)
NORRIS = (
    (0.1, 0.2), (338.8, 337.4), (118.1, 118.2), (888.0, 884.6), (9.2, 10.1), (228.1, 226.5), (668.5, 666.3),
    (998.5, 996.3), (449.1, 448.6), (778.9, 777.0), (559.2, 558.2), (0.3, 0.4), (0.1, 0.6), (778.1, 775.5),
    (668.8, 666.9), (339.3, 338.0), (448.9, 447.5), (10.8, 11.6), (557.7, 556.0), (228.3, 228.1), (998.0, 995.8),
    (888.8, 887.6), (119.6, 120.2), (0.3, 0.3), (0.6, 0.3), (557.6, 556.8), (339.3, 339.1), (888.0, 887.2),
    (998.5, 999.0), (778.9, 779.0), (10.2, 11.1), (117.6, 118.3), (228.9, 229.2), (668.4, 669.1), (449.2, 448.9),
    (0.2, 0.5),
)  # fmt: skip
"""y and x."""
H2_OBSERVED = (
    (5.007, 19.663, 1.0456),
    (4.994, 19.639, 1.0438),
    (5.005, 19.640, 1.0468),
    (4.990, 19.685, 1.0428),
    (4.999, 19.678, 1.0433),
)
EWMA_OBSERVED = (
    52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6,
    52.1,
)  # fmt: skip
PEAK_FLOW = (
    (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427),
    (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451),
)
PEARSON = ((0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4), (5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5))
DEMO_ORE = "laterite-middle"


def _anova() -> list[Check]:
    found = anova(SI_RSTV)
    return [(found.f, 1.18046237440255, 1e-11), (found.residual_sd, 0.104076068334656, 1e-13)]


def _regression() -> list[Check]:
    y, x = np.array(NORRIS).T
    design = np.column_stack([np.ones(y.size), x])
    names = [str(i) for i in range(y.size)]
    observations = Observations.of(names, ["constant", "x"], y, design, scatter_scale=0.0)
    found = fit(observations, level=ErrorLevel.ESTIMATED)
    expected = (-0.262323073774029, 1.00211681802045, 0.232818234301152, 0.429796848199937e-3)
    return [
        (float(f), e, 1e-9 * abs(e))
        for f, e in zip([*found.coefficients, *found.standard_uncertainty], expected, strict=True)
    ]


def _impedance(inputs: FloatArray) -> FloatArray:
    voltage, current, phase = inputs[..., 0], 1e-3 * inputs[..., 1], inputs[..., 2]
    return np.stack([np.cos(phase), np.sin(phase), np.ones_like(phase)], axis=-1) * (voltage / current)[..., None]


def _gum_h2() -> list[Check]:
    observed = np.array(H2_OBSERVED)
    found = propagate(_impedance, observed.mean(axis=0), np.cov(observed, rowvar=False) / 5.0)
    u = found.standard_uncertainty
    numbers = [*found.value, *u, *(found.covariance[i, j] / (u[i] * u[j]) for i, j in ((0, 1), (0, 2), (1, 2)))]
    expected = (127.732, 219.847, 254.260, 0.071, 0.295, 0.236, -0.588, -0.485, 0.993)
    return [(float(f), e, 1e-3) for f, e in zip(numbers, expected, strict=True)]


def _gum_h1() -> list[Check]:
    u = np.array([25.0, 9.7, 2.9, 16.6])
    return [
        (float(np.sqrt(np.sum(u**2))), 32.0, 0.5),
        (effective_degrees_of_freedom(u, [18, 25.6, 50, 2]), 16.7, 0.1),
    ]


def _supplement_1() -> list[Check]:
    draws = np.random.default_rng(5).uniform(-np.sqrt(3.0), np.sqrt(3.0), size=(1_000_000, 4)).sum(axis=1)
    found = from_draws(draws)
    low, high = (float(limit[0]) for limit in (found.low, found.high) if limit is not None)
    return [(float(found.standard_uncertainty[0]), 2.0, 0.01), (low, -3.88, 0.01), (high, 3.88, 0.01)]


def _charts() -> list[Check]:
    chart = ewma(EWMA_OBSERVED, Centre(mean=50.0, standard_deviation=2.0539), weight=0.3)
    checks = zip(chart.points[[0, 5, 9, 19]].tolist(), (50.60, 49.21, 50.33, 51.99), strict=True)
    return [*((f, e, 0.005001) for f, e in checks), (float(chart.high[-1]), 52.5884, 1e-3)]


def _currie() -> list[Check]:
    u = counting_uncertainty(2.0 * 100.0, 1.0)
    return [(decision_limit(u), 23.3, 0.07), (detection_limit(u), 2.71 + 46.5, 0.15)]


def _conformity() -> list[Check]:
    limits = Tolerance(low=-2.0, high=2.0)
    risks = global_risks(process_mean=0.0, process_sd=1.0, u=0.25, tolerance=limits, acceptance=limits)
    return [
        (conformance_probability(-5.47, 0.05, Tolerance(high=-5.40)), 0.92, 0.005),
        (conformance_probability(13.6, 1.8, Tolerance(low=12.5, high=16.3)), 0.66, 0.005),
        (risks.false_accept, 0.008, 5e-4),
        (risks.false_reject, 0.015, 1e-3),
    ]


def _comparison() -> list[Check]:
    agreement, line = bland_altman(*PEAK_FLOW), deming(*PEARSON)
    return [
        (agreement.bias, -2.1, 0.05),
        (agreement.standard_deviation, 38.8, 0.05),
        (line.slope, -0.546, 5e-4),
        (line.intercept, 5.784, 5e-4),
    ]


def _acceptance() -> list[Check]:
    curve = ((0.1, 3.1), (0.01, 6.7), (0.001, 11.6), (0.0001, 18.0))
    rounded = ((0.125, 0.12), (0.135, 0.14), (1.005, 1.00))
    return [
        *((100.0 * allowed_relative_deviation(x), y, 0.051) for x, y in curve),
        *((float(half_even(x, 2)), y, 1e-12) for x, y in rounded),
    ]


def _atomic() -> list[Check]:
    """Energies: NIST X-ray transition energies; attenuation: NIST XCOM; oxide factors: atomic weights."""
    energies = (("Mn", "K-L3", 5.89875), ("Fe", "K-L3", 6.40384), ("La", "L3-M5", 4.65097), ("Nb", "K-L3", 16.61510))
    iron = float(total_attenuation(atomic_number("Fe"), np.array([10.0]))[0])
    checks = [(_line_energy(e, line), kev, 0.003) for e, line, kev in energies]
    oxides = (("La2O3", "La", 0.85269), ("CeO2", "Ce", 0.81409), ("Nd2O3", "Nd", 0.85737), ("Nb2O5", "Nb", 0.69904))
    return [*checks, (iron, 170.6, 3.4), *((element_fraction(o, e), f, 1e-4) for o, e, f in oxides)]


def _line_energy(element: str, transition: str) -> float:
    shell = transition.partition("-")[0]
    return next(line.energy_kev for line in emission_lines(element, shell) if line.transition == transition)


def _demo_measurement() -> Measurement:
    parts = [read_measurement(shipped_path("spectra", "demo", f"{DEMO_ORE}.{c}.csv")) for c in ("low", "high")]
    spectra = {name: s for part in parts for name, s in part.spectra.items()}
    return Measurement(specimen=DEMO_ORE, spectra=spectra, sources=tuple(s for part in parts for s in part.sources))


def _chain() -> list[Check]:
    """Contents within five standard uncertainties of what the spectra were made of; fits near a deviance of 1."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    prepared = prepare(
        method,
        load_instrument(shipped_path("fitted", "example-edxrf.toml")),
        load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml")),
    )
    specimen = load_specimens(shipped_path("spectra", "demo", "specimens.csv"))[DEMO_ORE].specimen
    found = quantify(matched_conditions(_demo_measurement(), method), prepared, specimen)
    lines = shipped_path("spectra", "demo", "truth.csv").read_text(encoding="utf-8").splitlines()[1:]
    truth = {c: float(w) for s, c, w in (line.split(",") for line in lines) if s == DEMO_ORE}
    u = found.standard_uncertainty
    contents = [
        (float(found.mass_fraction[i]), truth[c], 5.0 * float(u[i]))
        for i, c in enumerate(found.components)
        if c in found.analytes
    ]
    return [*contents, *((areas.reduced_deviance, 1.0, 0.25) for areas in found.areas)]


CASES = (
    Case(name="analysis of variance", source="NIST StRD, SiRstv", checks=_anova),
    Case(name="regression", source="NIST StRD, Norris", checks=_regression),
    Case(name="propagation, correlated", source="GUM H.2", checks=_gum_h2),
    Case(name="effective degrees of freedom", source="GUM H.1", checks=_gum_h1),
    Case(name="Monte Carlo propagation", source="GUM supplement 1, 9.2.3", checks=_supplement_1),
    Case(name="control chart", source="NIST e-Handbook 6.3.2.4", checks=_charts),
    Case(name="decision and detection limit", source="Currie 1968", checks=_currie),
    Case(name="conformity and risks", source="JCGM 106:2012; Deaver 1993", checks=_conformity),
    Case(name="comparison of methods", source="Bland & Altman 1986; Pearson 1901", checks=_comparison),
    Case(name="acceptance and rounding", source="DZ/T 0130.3-2006", checks=_acceptance),
    Case(name="atomic data", source="NIST transition energies, XCOM", checks=_atomic),
    Case(name="whole chain", source="shipped simulated ore of known composition", checks=_chain),
)


def run_cases(
    cases: Sequence[Case] = CASES, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Outcome, ...]:
    """Run all cases; a case that ends with an error has failed, and the others go on."""
    outcomes = []
    for done, case in enumerate(cases, start=1):
        try:
            numbers = tuple(case.checks())
            worst = max(abs(f - e) / allowed for f, e, allowed in numbers)
            worst = worst if np.isfinite(worst) else np.inf
            outcomes.append(Outcome(name=case.name, source=case.source, worst=worst, numbers=numbers))
        except Exception as error:  # whatever goes wrong, the record must say it
            text = f"{type(error).__name__}: {error}"
            outcomes.append(Outcome(name=case.name, source=case.source, worst=np.inf, error=text))
        if progress is not None:
            progress(done, len(cases))
    return tuple(outcomes)


def record(outcomes: Sequence[Outcome], *, seconds: float) -> dict[str, Any]:
    """The record as plain data: outcomes with all numbers, versions, digests, machine, time."""
    packages = ("numpy", "scipy", "numba", "xraylib", "lmfit", "odrpack")
    return {
        "schema": "xrfree/selftest/1",
        "passed": all(outcome.passed for outcome in outcomes),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "cases": [
            {
                "name": o.name,
                "source": o.source,
                "passed": o.passed,
                "worst_over_allowed": o.worst if np.isfinite(o.worst) else None,
                "error": o.error,
                "numbers": [{"found": f, "expected": e, "allowed": a} for f, e, a in o.numbers],
            }
            for o in outcomes
        ],
        "software": {"xrfree": __version__, "tables": TABLES, **{p: _version(p) for p in packages}},
        "source_sha256": _source_digest(),
        "machine": {"python": platform.python_version(), "system": platform.platform(), "node": platform.node()},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _source_digest() -> str:
    """SHA-256 over names and bytes of all program files of this installation."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
