from __future__ import annotations

import math

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.precision import anova, precision, scatter_test, upper_bound

# NIST Statistical Reference Datasets, analysis of variance: SiRstv (lower difficulty) and AtmWtAg (average).
SI_RSTV = [
    [196.3052, 196.1240, 196.1890, 196.2569, 196.3403],
    [196.3042, 196.3825, 196.1669, 196.3257, 196.0422],
    [196.1303, 196.2005, 196.2889, 196.0343, 196.1811],
    [196.2795, 196.1748, 196.1494, 196.1485, 195.9885],
    [196.2119, 196.1051, 196.1850, 196.0052, 196.2090],
]
ATM_WT_AG = [
    [
        107.8681568, 107.8681465, 107.8681572, 107.8681785, 107.8681446, 107.8681903, 107.8681526, 107.8681494,
        107.8681616, 107.8681587, 107.8681519, 107.8681486, 107.8681419, 107.8681569, 107.8681508, 107.8681672,
        107.8681385, 107.8681518, 107.8681662, 107.8681424, 107.8681360, 107.8681333, 107.8681610, 107.8681477,
    ],
    [
        107.8681079, 107.8681344, 107.8681513, 107.8681197, 107.8681604, 107.8681385, 107.8681642, 107.8681365,
        107.8681151, 107.8681082, 107.8681517, 107.8681448, 107.8681198, 107.8681482, 107.8681334, 107.8681609,
        107.8681101, 107.8681512, 107.8681469, 107.8681360, 107.8681254, 107.8681261, 107.8681450, 107.8681368,
    ],
]  # fmt: skip
SI_RSTV_F, SI_RSTV_RESIDUAL_SD = 1.18046237440255, 0.104076068334656
ATM_WT_AG_F, ATM_WT_AG_RESIDUAL_SD = 15.9467335677930, 1.51048314446410e-5


def certified_digits(found: float, certified: float) -> float:
    return -math.log10(abs(found - certified) / abs(certified)) if found != certified else 16.0


@pytest.mark.parametrize(
    ("groups", "f", "residual_sd", "digits"),
    [
        (SI_RSTV, SI_RSTV_F, SI_RSTV_RESIDUAL_SD, 12),
        # Seven constant leading digits; the data's own binary rounding leaves about 8 digits of F.
        (ATM_WT_AG, ATM_WT_AG_F, ATM_WT_AG_RESIDUAL_SD, 8),
    ],
)
def test_nist_certified_anova(groups, f, residual_sd, digits):
    found = anova(groups)
    assert certified_digits(found.f, f) >= digits
    assert certified_digits(found.residual_sd, residual_sd) >= digits


@pytest.mark.parametrize(("offset", "digits"), [(1.0, 12), (1e6, 8), (1e12, 2)])
def test_nist_sm_ls_series(offset, digits):
    # SmLs01, 04 and 07: 9 treatments of 21 values, offset + 0.4 then alternating 0.3 and 0.5, shifted by treatment;
    # certified F = 21 and residual SD = 0.1. What large offsets lose is lost in the data's binary rounding.
    shifts = [0.0] + [-0.1, 0.1] * 4
    groups = [[offset + 0.4 + s] + [offset + 0.4 + s + d for _ in range(10) for d in (-0.1, 0.1)] for s in shifts]
    found = anova(groups)
    assert (found.between_df, found.within_df) == (8, 180)
    assert certified_digits(found.residual_sd, 0.1) >= digits
    assert certified_digits(found.f, 21.0) >= digits


def test_gum_h5_voltage_standard():
    # GUM (JCGM 100:2008) H.5, table H.9: mean and standard deviation (in uV) of five observations on each of ten days;
    # published: 85 uV within days, s of the daily means 57 uV, F = (128/85)^2 = 2.25 from rounded roots, between days
    # 43 uV. The observations here have these means and standard deviations.
    mean = [172, 116, 13, 144, 106, 31, 60, 125, 163, 41]
    within = [60, 77, 111, 101, 67, 93, 80, 73, 88, 86]
    shape = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / math.sqrt(2.5)
    groups = [(m + s * shape).tolist() for m, s in zip(mean, within, strict=True)]
    found, table = precision(groups), anova(groups)
    assert np.mean(groups) == pytest.approx(97, abs=0.5)
    assert np.std(mean, ddof=1) == pytest.approx(57, abs=0.5)
    assert found.repeatability == pytest.approx(85, abs=0.5)
    assert found.between_groups == pytest.approx(43, abs=0.5)
    assert table.f == pytest.approx(2.25, abs=0.02)
    assert (table.between_df, table.within_df) == (9, 40)


COAL = {
    (0.690, 0.015, 0.026): "71 71 70 71, 69 67 68, 66 65 69, 67 65 66, 70 69 66 71 69, 73 74 73, 71 71 69, 70 65 68",
    (1.252, 0.029, 0.061): "120 118 123 121, 122 121 122, 128 131 130, 123 118 120, 131 122 122 124, 139 136 137, "
    "120 126 126, 124 122 130",
    (1.667, 0.017, 0.035): "168 170 168 169, 164 164 165, 161 161 162, 168 166 166, 164 167 160 166 168, 170 173 173, "
    "169 170 168, 167 168 167",
    (3.250, 0.026, 0.058): "326 326 320 324, 320 320 320, 337 336 338, 316 322 323, 320 319 318 327 324, 327 331 329, "
    "327 324 323, 325 326 326",
}
"""Sulfur in coal, 0.01 %, of eight laboratories at four levels, by published mean, s_r and s_R (%)."""


@pytest.mark.parametrize(("published", "results"), COAL.items())
def test_iso_5725_2_sulfur_in_coal(published, results):
    # ISO 5725-2:1994, annex B, first example (data of ASTM): unequal numbers of results, nothing left out.
    groups = [[0.01 * float(x) for x in laboratory.split()] for laboratory in results.split(",")]
    found = precision(groups)
    rounding = 0.0005000001
    assert (found.mean, found.repeatability, found.intermediate) == pytest.approx(published, abs=rounding)


def test_equal_groups_leave_repeatability_alone():
    found = precision([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    assert found.between_groups == 0.0
    assert found.intermediate == found.repeatability == pytest.approx(math.sqrt(0.5))


def test_precision_finds_what_was_put_in():
    generator = np.random.default_rng(4)
    day = generator.normal(0.0, 2.0, size=(2000, 1))
    found = precision((10.0 + day + generator.normal(0.0, 1.0, size=(2000, 3))).tolist())
    # Standard errors: s_r 1/sqrt(2*4000) = 1.1 %; s_L about 1.8 %. Four of each.
    assert found.repeatability == pytest.approx(1.0, rel=0.045)
    assert found.between_groups == pytest.approx(2.0, rel=0.072)
    assert found.intermediate_limit == pytest.approx(2.8 * found.intermediate)


def test_unequal_groups_have_the_mean_size_of_iso_5725():
    # ISO 5725-2, 7.4.5.2: (N - sum n^2 / N)/(p - 1) for 3, 4 and 5 results.
    assert anova([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0, 5.0]]).mean_group_size == pytest.approx(
        (12 - 50 / 12) / 2
    )


def test_scatter_that_is_as_stated():
    generator = np.random.default_rng(7)
    groups = [[(x, 0.3) for x in generator.normal(5.0, 0.3, 10)] for _ in range(40)]
    found = scatter_test(groups)
    low, high = found.interval(0.9999)
    assert low < found.ratio < high
    doubled = scatter_test([[(x, u / 2) for x, u in group] for group in groups])
    assert doubled.ratio == pytest.approx(2 * found.ratio)
    assert doubled.ratio > high


def test_bounds_of_few_results_are_wide():
    # chi-square of 5 % at 9 degrees of freedom is 3.325.
    assert upper_bound(1.0, 9) == pytest.approx(math.sqrt(9 / 3.325), rel=1e-4)


def test_rubbish_is_refused():
    for call in (
        lambda: anova([[1.0, 2.0]]),
        lambda: anova([[1.0], [2.0]]),
        lambda: anova([[1.0, 2.0], []]),
        lambda: anova([[1.0, 2.0], [float("inf")]]),
        lambda: scatter_test([[(1.0, 0.1)]]),
        lambda: scatter_test([[(1.0, 0.0), (2.0, 0.1)]]),
        lambda: upper_bound(1.0, 0),
    ):
        with pytest.raises(DomainError):
            call()
