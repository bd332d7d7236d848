"""Line shapes: conservation of counts, scipy's Voigt profile, numerical folding, and the plain Python twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp, pi, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, special, stats

from xrfree.kernels import lineshape
from xrfree.kernels.lineshape import DERIVATIVES, add_lines, add_smooth, dawson, gaussian

FloatArray = NDArray[np.float64]
FINE = np.arange(2.0, 8.0001, 0.01)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)


def python(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The plain function behind a kernel; without JIT (NUMBA_DISABLE_JIT=1) they are one and the same."""
    return getattr(kernel, "py_func", kernel)


def line(
    edges: FloatArray,
    *,
    energy: float = 5.0,
    area: float = 1.0,
    sigma: float = 0.055,
    half_width: float = 0.0,
    tail: float = 0.0,
    tail_scale: float = 0.15,
    shelf: float = 0.0,
    reach: float = 1.2,
    build: Callable[..., Any] = add_lines,
) -> FloatArray:
    """Counts per channel of one line."""
    out, one = np.zeros((1, edges.size - 1)), np.ones(1)
    values = (np.array([v]) for v in (energy, area, area, sigma, half_width, tail, tail_scale, shelf))
    build(out, np.zeros((0, edges.size)), np.array([0]), edges, *values, one < 0.0, np.ones((3, 1)), reach * one)
    return np.asarray(out[0])


def integrated(density: Callable[[FloatArray], FloatArray], edges: FloatArray) -> FloatArray:
    """Integral of a density over every channel, Gauss-Legendre with 12 points."""
    half = 0.5 * np.diff(edges)[:, None]
    return np.asarray((density(0.5 * (edges[1:] + edges[:-1])[:, None] + half * NODES) * half * WEIGHTS).sum(axis=1))


@pytest.mark.parametrize("build", [dawson, python(dawson)], ids=["compiled", "python"])
def test_dawson_integral(build: Callable[[float], float]) -> None:
    x = np.concatenate([np.linspace(-5.65, 5.65, 1201), [0.2, -0.2, 1e-12, 0.0]])
    # 1e-11 is what the docstring promises.
    assert np.array([build(float(v)) for v in x]) == pytest.approx(special.dawsn(x), abs=1e-11)


@pytest.mark.parametrize("build", [gaussian, python(gaussian)], ids=["compiled", "python"])
def test_normal_distribution(build: Callable[[float], tuple[float, float]]) -> None:
    u = np.concatenate([np.linspace(-8.0, 8.0, 1203), [1.0 / 128.0, -1e-12, 0.0]])
    below, density = np.array([build(float(v)) for v in u]).T
    # 1e-14 is what the docstring promises.
    assert below == pytest.approx(stats.norm.cdf(u), abs=1e-14)
    assert density == pytest.approx(stats.norm.pdf(u), abs=1e-14)


@pytest.mark.parametrize(("ratio", "tolerance"), [(0.01, 1e-6), (0.03, 2e-6), (0.05, 3e-6), (0.1, 3e-5), (0.2, 4e-4)])
def test_core_is_the_voigt_profile(ratio: float, tolerance: float) -> None:
    sigma = 0.055
    edges = np.arange(3.8, 6.2001, 0.01)
    reach = 1.5
    counts = line(edges, sigma=sigma, half_width=ratio * sigma, reach=reach)
    voigt = integrated(lambda e: special.voigt_profile(e - 5.0, sigma, ratio * sigma), edges)
    # What the wings would hold beyond their end is in the Gaussian.
    beyond = 2.0 * ratio * sigma / (np.pi * reach)
    expected = voigt + beyond * np.diff(stats.norm.cdf(edges, 5.0, sigma))
    # The expansion ends at the third order in ratio; what follows grows as ratio⁴, measured by the highest channel.
    # Lanthanoid L lines seen by a silicon drift detector have a ratio of 0.03 to 0.05.
    assert counts == pytest.approx(expected, abs=tolerance * expected.max())


def test_natural_wings_end_at_the_reach() -> None:
    sigma = 0.055
    counts = line(FINE, sigma=sigma, half_width=0.002, reach=1.2)
    centre = 0.5 * (FINE[1:] + FINE[:-1])
    edge, step = np.sqrt(3.0) * sigma, 0.01
    assert np.all(counts[np.abs(centre - 5.0) > 1.2 + edge + step] == 0.0)
    assert np.all(counts[np.abs(centre - 5.0) < 1.2 + edge - step] > 0.0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_ends_of_wings_are_rounded_as_the_gaussian_rounds_them(side: float) -> None:
    sigma, half_width, reach = 0.055, 0.002, 1.2
    edges = 5.0 + side * reach + np.arange(-0.3, 0.3001, 0.01)
    counts = line(edges, sigma=sigma, half_width=half_width, reach=reach)

    def rounded(e: FloatArray) -> FloatArray:
        inside = stats.norm.cdf((reach - side * (e - 5.0)) / sigma)
        d = e - 5.0
        return np.asarray(half_width / np.pi / d**2 * (1.0 + 3.0 * (sigma / d) ** 2) * inside)

    expected = integrated(rounded, edges)
    # A straight slope of the same second moment stands for the Gaussian's: of the counts it moves a twentieth at most.
    assert counts.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert counts == pytest.approx(expected, abs=0.08 * expected.max())


@given(
    energy=st.floats(3.3, 6.7),
    sigma=st.floats(0.02, 0.1),
    half_width=st.floats(0.0, 0.006),
    tail=st.floats(0.0, 0.05),
    shelf=st.floats(0.0, 0.02),
    area=st.floats(1.0, 1e7),
)
def test_counts_are_conserved(
    energy: float, sigma: float, half_width: float, tail: float, shelf: float, area: float
) -> None:
    edges = np.concatenate([[-3.0, 0.0], FINE, [12.0]])
    counts = line(
        edges,
        energy=energy,
        area=area,
        sigma=sigma,
        half_width=half_width,
        tail=tail,
        shelf=shelf,
        tail_scale=0.1,
    )
    # Of the tail exp(-30) is followed; the rest is rounding.
    assert counts.sum() == pytest.approx(area, rel=1e-12)


@given(first=st.integers(1, 299), second=st.integers(301, 598))
def test_wider_channels_hold_the_sum_of_narrower_ones(first: int, second: int) -> None:
    narrow = line(FINE, half_width=0.002, tail=0.02, shelf=0.01)
    wide = line(FINE[[0, first, second, 600]], half_width=0.002, tail=0.02, shelf=0.01)
    sums = [narrow[:first].sum(), narrow[first:second].sum(), narrow[second:].sum()]
    # Rounding of differences of a cumulative distribution near 1.
    assert wide == pytest.approx(sums, abs=1e-13)


@pytest.mark.parametrize("tail_scale", [0.03, 0.15, 0.6])
def test_tail_is_the_exponential_folded_with_the_gaussian(tail_scale: float) -> None:
    sigma = 0.055
    edges = np.arange(4.0, 5.4, 0.02)
    counts = line(edges, sigma=sigma, tail=1.0, tail_scale=tail_scale)

    def folded(e: float) -> float:
        def integrand(lost: float) -> float:
            u = (e - 5.0 + lost) / sigma
            return exp(-lost / tail_scale - 0.5 * u * u) / (tail_scale * sigma * sqrt(2.0 * pi))

        middle = max(5.0 - e, 0.0)
        low, high = max(0.0, middle - 10.0 * sigma), middle + 10.0 * sigma
        return float(integrate.quad(integrand, low, high, epsabs=1e-12)[0])

    centres = 0.5 * (edges[1:] + edges[:-1])
    simpson = [
        (folded(a) + 4.0 * folded(m) + folded(b)) / 6.0 * 0.02
        for a, m, b in zip(edges, centres, edges[1:], strict=False)
    ]
    # Simpson over channels of 0.4 σ is good to 1e-5 of the highest channel.
    assert counts == pytest.approx(simpson, abs=2e-5 * counts.max())


def test_shelf_is_even_below_the_line_and_rounded_by_the_gaussian() -> None:
    sigma, energy = 0.055, 5.0
    counts = line(FINE, sigma=sigma, shelf=1.0, energy=energy)
    expected = integrated(lambda e: stats.norm.sf((e - energy) / sigma) / energy, FINE)
    assert counts == pytest.approx(expected, abs=1e-12)
    assert counts[:100] == pytest.approx(np.full(100, 0.01 / energy), rel=1e-9)


@pytest.mark.parametrize("scale", [0.02, 0.1])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_nothing_jumps_where_the_far_formulas_take_over(scale: float, side: float) -> None:
    sigma = 0.055
    edges = 5.0 + side * 8.0 * sigma * (1.0 + np.array([-2e-9, -1e-9, 1e-9, 2e-9]) * side)
    counts = line(np.sort(edges), sigma=sigma, half_width=0.002, tail=0.02, tail_scale=scale, shelf=0.01)
    # First neglected term of the wing: 945/8¹⁰ of g/(8πσ), that is 1e-9 of the line.
    assert counts == pytest.approx(np.zeros(3), abs=3e-9)


@pytest.mark.parametrize("tail_scale", [0.0005, 0.001, 0.003, 0.01])
def test_very_short_tail_is_a_line_a_little_lower(tail_scale: float) -> None:
    sigma = 0.08
    counts = line(FINE, sigma=sigma, tail=1.0, tail_scale=tail_scale)
    # Mean and variance of an exponential: β and β²; its third moment 2β³ acts as (β/σ)³/3 of the density.
    lower = line(FINE, energy=5.0 - tail_scale, sigma=float(np.hypot(sigma, tail_scale)))
    assert counts == pytest.approx(lower, abs=(1e-9 + (tail_scale / sigma) ** 3) * lower.max())


def test_shelf_ends_at_zero_energy() -> None:
    assert line(np.array([-0.2, -0.1, 0.0, 1.0]), shelf=0.1)[:2] == pytest.approx([0.0, 0.0], abs=1e-12)


def test_channel_across_zero_holds_the_shelf_above_it() -> None:
    across, above = line(np.array([-0.1, 0.1, 0.2]), shelf=1.0, energy=5.0)
    assert across == pytest.approx(above, rel=1e-12)


def edges_of(inputs: tuple[Any, ...]) -> FloatArray:
    return np.asarray(next(v for v in inputs if isinstance(v, np.ndarray) and v.size > 8))


def arguments(kernel: str) -> tuple[tuple[FloatArray, ...], tuple[Any, ...]]:
    """Output arrays and inputs for a kernel that fills arrays."""
    rng = np.random.default_rng(5)
    n = 4
    edges = np.arange(4.0, 6.0, 0.02)
    energy, area, sigma = rng.uniform(4.2, 5.8, n), rng.uniform(1.0, 9.0, n), rng.uniform(0.04, 0.06, n)
    half_width = np.array([0.0, 0.001, 0.002, 0.003])
    if kernel == "add_smooth":
        results = (np.zeros((2, edges.size - 1)), np.zeros((3, edges.size)))
        return results, (edges, energy, np.stack([area, area[::-1]]), area + 1.0, sigma)
    column, is_k = np.array([0, 1, 1, 0]), np.array([True, False, True, False])
    shape = (half_width, np.full(n, 0.02), np.full(n, 0.1), np.full(n, 0.005))
    results = (np.zeros((2, edges.size - 1)), np.zeros((11, edges.size)))
    reach = np.full(n, 1.2)
    return results, (column, edges, energy, area, area + 1.0, sigma, *shape, is_k, rng.normal(size=(3, n)), reach)


@pytest.mark.parametrize("name", ["add_lines", "add_smooth"])
def test_compiled_and_python_give_equal_numbers(name: str) -> None:
    kernel = getattr(lineshape, name)
    compiled, inputs = arguments(name)
    plain, _ = arguments(name)
    kernel(*compiled, *inputs)
    python(kernel)(*plain, *inputs)
    for one, other in zip(compiled, plain, strict=True):
        assert np.abs(one).max() > 0.0
        # exp and erfc of two mathematical libraries differ in the last digits.
        assert one == pytest.approx(other, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["add_lines", "add_smooth"])
@pytest.mark.parametrize("form", ["compiled", "python"])
def test_no_line_and_no_channel_change_nothing(name: str, form: str) -> None:
    kernel = getattr(lineshape, name) if form == "compiled" else python(getattr(lineshape, name))
    out, inputs = arguments(name)
    empty = [v[..., :0] if isinstance(v, np.ndarray) and v.size <= 8 else v for v in inputs]
    kernel(*out, *empty)
    assert not any(part.any() for part in out)
    one_edge = [v[:1] if isinstance(v, np.ndarray) and v.size > 8 else v for v in inputs]
    kernel(*(part[..., : part.shape[-1] - edges_of(inputs).size + 1] for part in out), *one_edge)


@pytest.mark.parametrize("name", ["add_lines", "add_smooth"])
def test_frozen_inputs_are_accepted_and_left_alone(name: str) -> None:
    out, inputs = arguments(name)
    before = [np.copy(v) for v in inputs]
    for value in inputs:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    getattr(lineshape, name)(*out, *inputs)
    assert all(np.array_equal(a, b) for a, b in zip(before, inputs, strict=True))


def poisoned() -> Iterator[tuple[str, int, float, tuple[int, ...]]]:
    """Kernel, input, value, and the results it must spoil: areas those they belong to, all else both."""
    for name, first, last, area in (("add_lines", 2, 9, 3), ("add_smooth", 1, 4, 2)):
        for position in range(first, last + 1):
            spoilt = {area: (0,), area + 1: (1,)}.get(position, (0, 1))
            yield name, position, np.nan, spoilt
        yield name, first, np.inf, (0, 1)


@pytest.mark.parametrize(("name", "position", "value", "spoilt"), list(poisoned()))
def test_what_is_no_number_is_not_swallowed(name: str, position: int, value: float, spoilt: tuple[int, ...]) -> None:
    out, inputs = arguments(name)
    inputs[position][..., 1] = value
    getattr(lineshape, name)(*out, *inputs)
    assert all(not np.isfinite(out[k]).all() for k in spoilt)


@given(
    energy=st.lists(st.floats(3.0, 7.0), min_size=1, max_size=5),
    sigma=st.floats(0.02, 0.2),
    step=st.floats(0.005, 0.2),
)
def test_smooth_light_is_a_sum_of_gaussians(energy: list[float], sigma: float, step: float) -> None:
    edges = np.arange(4.0, 6.0, step)
    area = np.arange(1.0, len(energy) + 1.0)
    out = np.zeros((1, edges.size - 1))
    none = np.zeros((0, edges.size))
    add_smooth(out, none, edges, np.array(energy), area[None, :], area, np.full(len(energy), sigma))
    below = stats.norm.cdf((edges[:, None] - np.array(energy)) / sigma)
    # Beyond 8 σ, where 6e-16 of a line remain, nothing is added.
    assert out[0] == pytest.approx(np.diff(below @ area), abs=1e-13)


REAL = {"half_width": 0.003, "tail": 0.03, "tail_scale": 0.12, "shelf": 0.01}
PARTS = {
    "gaussian": {**REAL, "half_width": 0.0, "tail": 0.0, "shelf": 0.0},
    "wide": {**REAL, "tail": 0.0, "shelf": 0.0},
    "tailed": {**REAL, "half_width": 0.0},
    "real": REAL,
}
PLACES = {
    "around": np.arange(3.3, 6.7, 0.01),
    "upper end inside": np.arange(3.0, 5.05, 0.01),
    "above": np.arange(4.95, 5.5, 0.01),
}
MOVED = {"width_l": "half_width", "tail_share": "tail", "tail_scale": "tail_scale", "shelf_share": "shelf"}


def numerical_derivative(name: str, edges: FloatArray, shape: dict[str, float]) -> FloatArray:
    """Central difference by the edges' energy (1e-4 keV), σ² (1e-6 keV²), or a logarithm (1e-3)."""

    def counts(sign: float) -> FloatArray:
        if name == "energy":
            return line(edges + sign * 1e-4, area=3.0, **shape)
        if name == "variance":
            return line(edges, area=3.0, sigma=float(np.sqrt(0.055**2 + sign * 1e-6)), **shape)
        return line(edges, area=3.0, **{**shape, MOVED[name]: shape[MOVED[name]] * exp(sign * 1e-3)})

    step = {"energy": 1e-4, "variance": 1e-6}.get(name, 1e-3)
    return (counts(1.0) - counts(-1.0)) / (2.0 * step)


@pytest.mark.parametrize("name", ["energy", "variance", *MOVED])
@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("parts", list(PARTS))
def test_derivatives_are_finite_differences(name: str, place: str, parts: str) -> None:
    edges, shape = PLACES[place], PARTS[parts]
    rows, one = np.zeros((len(DERIVATIVES), edges.size)), np.ones(1)
    values = (
        v * one for v in (5.0, 1.0, 3.0, 0.055, *(shape[p] for p in ("half_width", "tail", "tail_scale", "shelf")))
    )
    add_lines(
        np.zeros((1, edges.size - 1)),
        rows,
        np.array([0]),
        edges,
        *values,
        one < 0.0,
        np.array([[0.5], [0.25], [0.3]]),
        1.2 * one,
    )
    found = dict(zip(DERIVATIVES, np.diff(rows, axis=1), strict=True))
    expected = numerical_derivative(name, edges, shape)
    # (step/σ)² = 3e-6 for the energy, (step/σ²)² = 1e-7 for σ², 1e-6 for logarithms. Where the wings of the natural
    # width begin, 8 σ from the line, steps see a jump of 1e-9 of the line. Where they end, 1.2 keV from it, the slope
    # has the Gaussian's second moment, but moves with σ otherwise.
    distance = np.abs(0.5 * (edges[1:] + edges[:-1]) - 5.0)
    jump = np.abs(distance - 8.0 * 0.055) < 0.011
    if name == "variance":
        jump |= np.abs(distance - 1.2) < np.sqrt(3.0) * 0.055 + 0.01
    size = max(np.abs(expected).max(), 1e-9)
    assert found[name][~jump] == pytest.approx(expected[~jump], abs=1e-5 * size)
    lost = found["tail_share"] + found["shelf_share"]
    assert found["variance_energy"] == pytest.approx(5.0 * found["variance"], rel=1e-12, abs=1e-12)
    assert found["tail_fall"] == pytest.approx(0.5 * lost, rel=1e-12, abs=1e-14)
    assert found["tail_rest"] == pytest.approx(0.25 * lost, rel=1e-12, abs=1e-14)
    assert found["tail_growth"] == pytest.approx(0.3 * found["tail_scale"], rel=1e-12, abs=1e-14)
    assert not found["width_k"].any()


def test_first_rows_alone_are_the_same_and_counts_do_not_depend_on_them() -> None:
    (counts, every), inputs = arguments("add_lines")
    add_lines(counts, every, *inputs)
    for n in (0, 3):
        some, few = np.zeros_like(counts), np.zeros((n, every.shape[1]))
        add_lines(some, few, *inputs)
        assert np.array_equal(few, every[:n])
        assert np.array_equal(some, counts)


def test_derivatives_of_smooth_light_are_those_of_gaussian_lines() -> None:
    (_, rows), (edges, energy, strength, moved, sigma) = arguments("add_smooth")
    add_smooth(np.zeros((2, edges.size - 1)), rows, edges, energy, strength, moved, sigma)
    zero = np.zeros_like(energy)
    lines = np.zeros_like(rows)
    column, is_k = zero.astype(np.int64), zero > 0.0
    out = np.zeros((1, edges.size - 1))
    add_lines(
        out,
        lines,
        column,
        edges,
        energy,
        moved,
        moved,
        sigma,
        zero,
        zero,
        zero,
        zero,
        is_k,
        np.zeros((3, zero.size)),
        zero,
    )
    assert rows == pytest.approx(lines, rel=1e-12, abs=1e-12 * float(np.abs(lines).max()))
