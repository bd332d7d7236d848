"""Laws of what standards teach together: drawn parameters are found again within their stated uncertainties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.fit import JointPrior
from xrfree.learning import FEWEST_FOR_SHAPES, Evidence, Lesson, learn

FloatArray = NDArray[np.float64]

GROUPS = ("La L", "Pr L")
RATIO = "ratio:La L:L2-M4,5"
SHAPES = ("continuum:1", "continuum:2")
LOG_K = np.array([1.0, 1.3])
BLANK = np.array([2e-5, -1e-5])
DEVIATION = 0.03
MEAN, SPREAD = np.array([0.04, -0.02]), 0.03
NAMES = (*(f"area:{g}" for g in GROUPS), RATIO, *SHAPES)
PRIOR = JointPrior(names=(RATIO,), mean=np.zeros(1), covariance=np.array([[0.02**2]]))


def design(generator: np.random.Generator) -> FloatArray:
    """Covariance of (areas, ratio, shapes) in one spectrum: the ratio of La and the background take from Pr."""
    columns = generator.normal(0.0, 1.0, (40, len(NAMES)))
    columns[:, 1] += 0.8 * columns[:, 2] + 0.5 * columns[:, 3]
    size = np.array([30.0, 30.0, 0.01, 0.05, 0.05])
    correlation = np.corrcoef(columns.T)
    return np.asarray(correlation * size * size[:, None])


def drawn(seed: int, n: int) -> list[Evidence]:
    """Evidence of n standards drawn from the law that `learn` inverts."""
    generator = np.random.default_rng(seed)
    found = []
    for k in range(n):
        content = np.exp(generator.uniform(np.log(1e-4), np.log(3e-2), 2)) * (k > 0)
        u = 0.003 * content
        strength, exposure = np.array([2.0, 3.0]), 1e5
        true = content + u * generator.standard_normal(2)
        area = exposure * np.exp(LOG_K) * strength * (true + BLANK)
        shape = MEAN + SPREAD * generator.standard_normal(2)
        covariance = design(generator)
        truth = np.concatenate([area, [DEVIATION], shape])
        found.append(
            Evidence(
                names=NAMES,
                centre=truth + np.linalg.cholesky(covariance) @ generator.standard_normal(truth.size),
                score=np.zeros(truth.size),
                information=np.linalg.inv(covariance),
                exposure_s=exposure,
                strength=dict(zip(GROUPS, strength, strict=True)),
                content={"La": content[0], "Pr": content[1]},
                certificate=np.diag(u),
            )
        )
    return found


def lesson(evidences: list[Evidence]) -> Lesson:
    return learn(
        evidences,
        groups=GROUPS,
        ratios=PRIOR,
        shapes=SHAPES,
        log_sensitivity=LOG_K + 0.01,
        log_sensitivity_sigma=np.full(2, 0.05),
    )


def test_what_was_drawn_is_found_within_its_uncertainty() -> None:
    pulls = []
    for seed in range(40):
        found = lesson(drawn(seed, 12))
        sigma = np.sqrt(np.diag(found.covariance))
        away = np.concatenate([found.log_sensitivity - LOG_K, found.blank - BLANK]) / sigma
        ratio = (found.ratios.mean[0] - DEVIATION) / np.sqrt(found.ratios.covariance[0, 0])
        pulls.append([*away, ratio])
    pulls_of = np.array(pulls)
    # 40 draws: the mean is known to 0.16 and the width to 0.11; usual scatters in the model make pulls narrower.
    assert np.all(np.abs(pulls_of.mean(axis=0)) < 4.0 / np.sqrt(40))
    assert np.all(pulls_of.std(axis=0) < 1.35)
    assert np.all(pulls_of.std(axis=0) > 0.5)


def test_population_of_shapes_is_found() -> None:
    found = lesson(drawn(1, 60)).shapes
    assert found is not None
    # Each spectrum knows its shape to 0.05 at best and the spread is 0.03: the mean of 60 to about 0.008.
    assert found.mean == pytest.approx(MEAN, abs=4 * 0.008)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(SPREAD, rel=0.5)


def test_few_standards_say_nothing_about_shapes() -> None:
    assert lesson(drawn(2, FEWEST_FOR_SHAPES - 1)).shapes is None
    assert lesson(drawn(2, FEWEST_FOR_SHAPES)).shapes is not None


def test_standards_narrow_the_line_ratio() -> None:
    before = PRIOR.covariance[0, 0]
    few, many = (lesson(drawn(3, n)).ratios.covariance[0, 0] for n in (3, 20))
    assert many < few < before


def test_order_of_the_standards_changes_nothing() -> None:
    evidences = drawn(4, 8)
    one, other = lesson(evidences), lesson(evidences[::-1])
    assert other.log_sensitivity == pytest.approx(one.log_sensitivity, rel=1e-9)
    assert other.blank == pytest.approx(one.blank, rel=1e-6)


def test_group_without_certificate_teaches_nothing_about_itself() -> None:
    bare = [replace(e, content={"La": e.content["La"]}, certificate=e.certificate[:1, :1]) for e in drawn(5, 8)]
    found = lesson(bare)
    assert np.sqrt(found.covariance[1, 1]) == pytest.approx(0.05, rel=1e-6)


MANY = tuple(f"{element} K" for element in ("Ca", "Ti", "V", "Cr", "Mn", "Fe", "Zn", "Sr"))


def scattered(seed: int, relative: FloatArray, *, n: int = 12) -> list[Evidence]:
    """Evidence of n standards whose areas scatter by `relative` beyond certificates of 0.3 %, by group."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        content = generator.uniform(0.01, 0.1, len(MANY))
        u = 0.003 * content
        errors = u * generator.standard_normal(len(MANY)) + relative * content * generator.standard_normal(len(MANY))
        sigma = 1e-3 * 1e5 * content  # counting: 0.1 %
        found.append(
            Evidence(
                names=tuple(f"area:{g}" for g in MANY),
                centre=1e5 * (content + errors) + sigma * generator.standard_normal(len(MANY)),
                score=np.zeros(len(MANY)),
                information=np.diag(sigma**-2),
                exposure_s=1e5,
                strength=dict.fromkeys(MANY, 1.0),
                content={g.split()[0]: w for g, w in zip(MANY, content, strict=True)},
                certificate=np.diag(u),
            )
        )
    return found


def scatter_of(evidences: list[Evidence]) -> FloatArray:
    found = learn(
        evidences,
        groups=MANY,
        ratios=JointPrior(names=(), mean=np.zeros(0), covariance=np.zeros((0, 0))),
        shapes=(),
        log_sensitivity=np.zeros(len(MANY)),
        log_sensitivity_sigma=np.full(len(MANY), 0.05),
    )
    return found.relative_scatter


@pytest.mark.parametrize("true", [0.0005, 0.003, 0.01])
def test_scatter_is_found_from_all_groups_together_whatever_is_usual(true: float) -> None:
    found = scatter_of(scattered(1, np.full(len(MANY), true)))
    # 96 residuals of 0.3 % besides: the scatter is known to 0.3 % (2/96)^(1/4) = 0.11 %, or to 1/sqrt(2 x 96) = 7 %.
    assert np.sqrt(np.mean(found**2)) == pytest.approx(true, abs=0.0012 if true < 0.003 else 0.0, rel=0.35)


def test_scatter_of_one_group_stands_out_and_leaves_the_others() -> None:
    relative = np.full(len(MANY), 0.001)
    relative[5] = 0.05
    found = scatter_of(scattered(2, relative))
    # Twelve residuals know a standard deviation to a fifth.
    assert found[5] == pytest.approx(0.05, rel=0.6)
    assert np.all(np.delete(found, 5) < 0.003)


def test_errors_of_certificates_that_all_lines_share_are_no_scatter() -> None:
    # The certificate of an absorber is in error by what makes all lines 0.5 % weaker or stronger.
    generator, shared = np.random.default_rng(3), 0.005
    moved = []
    for e in scattered(4, np.full(len(MANY), 0.0005)):
        content = np.array(list(e.content.values()))
        moved.append(
            replace(
                e,
                centre=e.centre + 1e5 * shared * generator.standard_normal() * content,
                certificate=np.column_stack([e.certificate, shared * content]),
            )
        )
    # 0.5 % would be found if each line were on its own; residuals of 0.3 % leave 0.11 % open for all groups together.
    assert np.median(scatter_of(moved)) < 0.0005 + 2 * 0.0011


def test_size_of_shapes_is_found_from_all_of_them() -> None:
    few = lesson(drawn(6, FEWEST_FOR_SHAPES)).shapes
    assert few is not None
    spread = np.sqrt(np.diag(few.covariance))
    assert np.all(spread < 2.0 * SPREAD)
    assert np.all(spread > 0.5 * SPREAD)


def test_errors_of_a_certificate_move_the_sensitivities_as_told() -> None:
    evidences = drawn(7, 12)
    found = lesson(evidences)
    for k in (3, 8):
        content = {"La": evidences[k].content["La"] + evidences[k].certificate[0, 0], "Pr": evidences[k].content["Pr"]}
        moved = lesson([replace(e, content=content) if i == k else e for i, e in enumerate(evidences)])
        # The scatters are learned again, which shifts weights by some per cent of the change.
        assert moved.log_sensitivity - found.log_sensitivity == pytest.approx(
            found.by_certificate[k][:, 0], rel=0.2, abs=1e-6
        )
    together = sum(effect @ effect.T for effect in found.by_certificate)
    assert np.all(np.linalg.eigvalsh(found.covariance[:2, :2] - together) > 0.0)
