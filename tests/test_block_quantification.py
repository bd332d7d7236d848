"""Many similar spectra together: the answers of the single path, whoever is in the block."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xrfree.areas import FitVerdict
from xrfree.assay import Assay, Verdict
from xrfree.atomic import TABLES
from xrfree.block_quantification import FEWEST, quantify_alike, works_in_blocks
from xrfree.calibration import Calibration, ContentRange, Validity
from xrfree.closure import whole_composition
from xrfree.composition import Composition
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.method import LaboratoryUncertainty
from xrfree.quantification import PARTS_OF_FIT, Prepared, prepare, quantify, with_calibration
from xrfree.simulation import expected_counts
from xrfree.specimen import Specimen
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

MEAN = {
    "Fe": 0.40, "Ca": 0.06, "Ti": 0.004, "V": 0.001, "Cr": 0.0005, "Mn": 0.01,
    "Ba": 0.02, "La": 0.012, "Ce": 0.02, "Pr": 0.002, "Nd": 0.007, "Sm": 0.0007,
}  # fmt: skip
OTHER = MEAN | {"Fe": 0.12, "Ca": 0.2, "La": 0.0, "Ce": 0.0, "Pr": 0.0, "Nd": 0.0, "Sm": 0.0}
LIVE_S = 60.0
SPREAD = 0.05
N_ORE, N_OTHER = 24, 18
WELL_DETECTED = ("La", "Ce", "Pr", "Nd", "Ba", "Fe", "Ca", "Mn", "Ti")


@pytest.fixture(scope="module")
def prepared(repository: Path) -> Prepared:
    method = load_method(repository / "calibration/methods/iron-ore-scanner-edxrf.toml")
    return prepare(method, load_instrument(repository / "calibration/fitted/example-edxrf.toml"))


@pytest.fixture(scope="module")
def powder(prepared: Prepared) -> Specimen:
    assert prepared.method.specimen is not None
    return prepared.method.specimen


def measured(prepared: Prepared, powder: Specimen, contents: dict[str, float], *seeds: int) -> list[Measurement]:
    whole = whole_composition(contents, powder, prepared.method.unseen, prepared.elements)
    composition = Composition(elements=prepared.elements, mass_fraction=whole)
    expected = expected_counts(composition, powder, prepared.instrument, "low", live_time_s=LIVE_S)
    condition = prepared.instrument.conditions["low"]
    scale = EnergyScale(zero_kev=condition.energy_zero_kev, gain_kev=condition.energy_gain_kev)
    return [
        Measurement(
            specimen=f"P{seed}",
            spectra={
                "low": Spectrum(
                    counts=np.random.default_rng(seed).poisson(expected),
                    live_time_s=LIVE_S,
                    real_time_s=LIVE_S,
                    energy_scale=scale,
                    condition=ExcitationCondition(name="low"),
                )
            },
        )
        for seed in seeds
    ]


def changed(measurement: Measurement, **changes: object) -> Measurement:
    return replace(measurement, spectra={"low": replace(measurement.spectra["low"], **changes)})


@pytest.fixture(scope="module")
def stack(prepared: Prepared, powder: Specimen) -> list[Measurement]:
    """An ore whose contents differ by a twentieth, amid it a rock without rare earths, and three odd ones."""
    rng = np.random.default_rng(1)
    ore = [
        measured(prepared, powder, {e: w * float(np.exp(SPREAD * rng.standard_normal())) for e, w in MEAN.items()}, k)[
            0
        ]
        for k in range(N_ORE)
    ]
    other = measured(prepared, powder, OTHER, *range(100, 100 + N_OTHER))
    counts = ore[0].spectra["low"].counts
    line = np.zeros_like(counts)
    line[535:550] = counts.max()
    odd = [
        replace(changed(ore[0], counts=counts + line), specimen="unknown line"),
        replace(changed(ore[0], counts=counts // 10**6), specimen="hardly any counts"),
        replace(changed(ore[0], energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.02)), specimen="other scale"),
    ]
    return [*ore[:12], *other, *odd, *ore[12:]]


@pytest.fixture(scope="module")
def found(stack: list[Measurement], prepared: Prepared, powder: Specimen) -> dict[int, Assay]:
    return dict(quantify_alike(stack, prepared, [powder] * len(stack), drawn=frozenset({0})))


def test_only_what_is_like_many_others_is_assayed_together(found: dict[int, Assay], stack: list[Measurement]) -> None:
    alone = {stack[i].specimen for i in range(len(stack)) if i not in found}
    assert {"unknown line", "hardly any counts", "other scale"} <= alone
    # Some may lie too far from the others of their kind, and be too few for a kind of their own; most do not.
    assert len(alone) <= 3 + N_ORE // 4


def test_the_numbers_of_the_single_path(
    found: dict[int, Assay], stack: list[Measurement], prepared: Prepared, powder: Specimen
) -> None:
    for i in [i for i in found if i % 5 == 0]:
        one, block = quantify(stack[i], prepared, powder), found[i]
        known = [block.components.index(e) for e in WELL_DETECTED if one.mass_fraction[one.components.index(e)] > 1e-3]
        off = np.abs(block.mass_fraction - one.mass_fraction) / one.standard_uncertainty
        # The stated bound; a first order leaves a tenth of a correction of one counting uncertainty.
        assert off.max() < 0.1
        assert block.standard_uncertainty == pytest.approx(one.standard_uncertainty, rel=0.05)
        # Without its line, what remains under a strong one is known to some per cent only, and from this spectrum's
        # noise in the single path.
        traces = [k for k in known if one.mass_fraction[k] < 0.03]
        assert block.decision_limit[traces] == pytest.approx(one.decision_limit[traces], rel=0.1)
        assert block.quantification_limit[traces] == pytest.approx(one.quantification_limit[traces], rel=0.1)
        assert block.verdicts == one.verdicts
        assert block.areas[0].reduced_deviance == pytest.approx(one.areas[0].reduced_deviance, abs=0.02)
        assert block.composition.mass_fraction == pytest.approx(one.composition.mass_fraction, abs=1e-4)
        assert set(block.budget) == set(one.budget)


def test_every_part_of_the_budget_is_that_of_the_single_path(prepared: Prepared, powder: Specimen) -> None:
    stated = LaboratoryUncertainty(preparation=0.004, drift=0.002, loss_on_ignition=0.01)
    told = replace(prepared, method=replace(prepared.method, uncertainty=stated))
    ore = measured(prepared, powder, MEAN, *range(200, 200 + FEWEST + 2))
    specimens = [replace(powder, loss_on_ignition=0.02 + 0.002 * k) for k in range(len(ore) - 1)] + [powder]
    block = dict(quantify_alike(ore, told, specimens))
    assert len(block) >= FEWEST
    for i in (0, 5, len(ore) - 1):
        one = quantify(ore[i], told, specimens[i])
        assert list(block[i].budget) == list(one.budget)
        assert {*PARTS_OF_FIT, "calibration", "preparation", "drift", "matrix"} <= set(one.budget)
        for part, u in one.budget.items():
            off = np.abs(block[i].budget[part] ** 2 - u**2)
            # A tenth of the part's variance. Line ratios that are held in a block make 1 % of all variance.
            assert np.all(off <= np.maximum(0.1 * u**2, 0.02 * one.standard_uncertainty**2)), part
        assert one.budget["matrix"].any() == (specimens[i].loss_on_ignition is not None)


def test_repeats_scatter_by_what_the_budget_says_where_traces_shape_the_iron(
    prepared: Prepared, powder: Specimen
) -> None:
    n = 100
    contents = MEAN | dict.fromkeys(("La", "Ce", "Pr", "Nd", "Sm", "Ba", "Mn", "Ti"), 0.0025)
    repeats = measured(prepared, powder, contents, *range(300, 300 + n))
    found = list(dict(quantify_alike(repeats, prepared, [powder] * n)).values())
    scatter = np.std([assay.mass_fraction for assay in found], axis=0, ddof=1)
    stated = np.sqrt(np.mean([assay.budget["counting"] ** 2 + assay.budget["background"] ** 2 for assay in found], 0))
    # Standard deviations of 100 values: 7 %, four of them. Half of the iron's comes from traces that absorb its line.
    assert len(found) > 0.9 * n
    assert scatter / stated == pytest.approx(np.ones(scatter.size), abs=4.0 / np.sqrt(2.0 * n))


def test_truth_lies_within_the_uncertainties(found: dict[int, Assay], stack: list[Measurement]) -> None:
    rng = np.random.default_rng(1)
    truth = [{e: w * float(np.exp(SPREAD * rng.standard_normal())) for e, w in MEAN.items()} for _ in range(N_ORE)]
    pulls = []
    for i, assay in found.items():
        if int(assay.specimen[1:]) < N_ORE:
            true = np.array([truth[int(assay.specimen[1:])][e] for e in assay.analytes])
            n = len(assay.analytes)
            by_counts = np.hypot(assay.budget["counting"], assay.budget["background"])[:n]
            pulls.append((assay.mass_fraction[:n] - true) / by_counts)
        assert i < len(stack)
    # 100 pulls: standard deviation 1 within 4 of its own.
    assert np.std(pulls) == pytest.approx(1.0, abs=4.0 / np.sqrt(2.0 * np.size(pulls)))


def test_the_record_says_with_whom(found: dict[int, Assay], stack: list[Measurement]) -> None:
    assert re.fullmatch(r"[0-9]+ similar spectra, P[0-9]+ to P[0-9]+", found[0].recipe.block)
    assert all(assay.areas[0].verdict is FitVerdict.GOOD for assay in found.values())
    assert found[0].areas[0].curve.counts.sum() == pytest.approx(
        stack[0].spectra["low"].counts[[*range(360, 610), *range(630, 660)]].sum(), rel=0.02
    )
    assert found[1].areas[0].curve.counts.size == 0


def test_ranges_of_the_calibration_are_told_alike(
    prepared: Prepared, powder: Specimen, stack: list[Measurement]
) -> None:
    """Ranges alone, no sensitivities: the numbers are those of the instrument document."""
    nothing = np.zeros(0)
    names = ("log_sensitivity", "blank", "blank_uncertainty", "blank_correlation", "relative_scatter")
    ranges = {"La": (0.0, 0.01), "Ce": (0.0, 0.05), "Fe": (0.1, 0.3)}  # the ore holds 0.012, 0.02 and 0.40
    calibration = Calibration(
        name="ranges",
        groups=(),
        covariance=np.zeros((0, 0)),
        absolute_scatter=nothing,
        **dict.fromkeys(names, nothing),
        points=(),
        tables=TABLES,
        instrument_sha256=prepared.instrument.sha256,
        method_sha256=prepared.method.sha256,
        created="",
        software_version="",
        validity=Validity(ranges=tuple(ContentRange(element=e, low=a, high=b) for e, (a, b) in ranges.items())),
    )
    narrow = with_calibration(prepared, calibration)
    ore = [m for m in stack if m.specimen.startswith("P") and int(m.specimen[1:]) < N_ORE]
    block = dict(quantify_alike(ore, narrow, [powder] * len(ore)))
    i = next(iter(block))
    for assay in (block[i], quantify(ore[i], narrow, powder)):
        told = dict(zip(assay.components, zip(assay.verdicts, assay.reasons, strict=True), strict=True))
        assert told["La"][0] is Verdict.DOUBTFUL
        assert "above the range of the standards (0 to 0.01)" in told["La"][1]
        assert told["Ce"][0] is Verdict.DETECTED
        assert told["Ce"][1].startswith("matrix outside the calibration: Fe is 0.")
        assert told["Fe"][0] is Verdict.DOUBTFUL
        assert assay.recipe.calibration_status == "draft"


def test_the_same_block_gives_the_same_bit_by_bit(
    prepared: Prepared, powder: Specimen, stack: list[Measurement]
) -> None:
    some = [*stack[:12], *stack[-12:]]
    first, again = (dict(quantify_alike(some, prepared, [powder] * len(some))) for _ in range(2))
    assert first.keys() == again.keys()
    assert len(first) > FEWEST
    for i, assay in first.items():
        assert np.array_equal(assay.mass_fraction, again[i].mass_fraction)
        assert np.array_equal(assay.covariance, again[i].covariance)


def test_few_are_left_to_the_single_path(prepared: Prepared, powder: Specimen, stack: list[Measurement]) -> None:
    assert dict(quantify_alike(stack[: FEWEST - 1], prepared, [powder] * (FEWEST - 1))) == {}
    assert dict(quantify_alike([], prepared, [])) == {}


def test_methods_that_do_not_work_in_blocks(repository: Path, prepared: Prepared) -> None:
    assert works_in_blocks(prepared.method)
    assert not works_in_blocks(load_method(repository / "calibration/methods/iron-ore-edxrf.toml"))
    regions = tuple(replace(region, non_negative=True) for region in prepared.method.regions)
    assert not works_in_blocks(replace(prepared.method, regions=regions))
