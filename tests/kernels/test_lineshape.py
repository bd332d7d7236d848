"""Line shapes: conservation of counts, scipy's Voigt profile, numerical folding, and the plain Python twin."""

from __future__ import annotations

import itertools
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
from xrfree.kernels.lineshape import add_line_derivatives, add_lines, add_smooth, cumulative_line, dawson

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
    out = np.zeros((1, edges.size - 1))
    values = (np.array([v]) for v in (energy, area, sigma, half_width, tail, tail_scale, shelf))
    build(out, np.array([0]), edges, *values, reach)
    return np.asarray(out[0])


def integrated(density: Callable[[FloatArray], FloatArray], edges: FloatArray) -> FloatArray:
    """Integral of a density over every channel, Gauss-Legendre with 12 points."""
    half = 0.5 * np.diff(edges)[:, None]
    return np.asarray((density(0.5 * (edges[1:] + edges[:-1])[:, None] + half * NODES) * half * WEIGHTS).sum(axis=1))


@pytest.mark.parametrize("build", [dawson, python(dawson)], ids=["compiled", "python"])
def test_dawson_integral(build: Callable[[float], float]) -> None:
    x = np.concatenate([np.linspace(-30.0, 30.0, 1201), [0.2, -0.2, 9.0, -9.0, 1e4, 1e-12, 0.0]])
    # 1e-7 is what the docstring promises.
    assert np.array([build(float(v)) for v in x]) == pytest.approx(special.dawsn(x), abs=1e-7)


@pytest.mark.parametrize(("ratio", "tolerance"), [(0.01, 1e-6), (0.03, 2e-6), (0.05, 3e-6), (0.1, 3e-5), (0.2, 4e-4)])
def test_core_is_the_voigt_profile(ratio: float, tolerance: float) -> None:
    sigma, reach = 0.055, 1.2
    edges = np.arange(5.0 - reach, 5.0 + reach + 1e-9, 0.01)
    counts = line(edges, sigma=sigma, half_width=ratio * sigma, reach=reach)
    expected = integrated(lambda e: special.voigt_profile(e - 5.0, sigma, ratio * sigma), edges)
    # The expansion ends at the third order in ratio; what follows grows as ratio⁴, measured by the highest channel.
    # Lanthanoid L lines seen by a silicon drift detector have a ratio of 0.03 to 0.05.
    assert counts == pytest.approx(expected, abs=tolerance * expected.max())


def test_natural_wings_end_at_the_reach() -> None:
    counts = line(FINE, half_width=0.002, reach=1.2)
    centre = 0.5 * (FINE[1:] + FINE[:-1])
    assert np.all(counts[np.abs(centre - 5.0) > 1.21] == 0.0)
    assert np.all(counts[np.abs(centre - 5.0) < 1.19] > 0.0)


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
    cut_off = 2.0 * half_width / np.pi / max(1.2, 8.0 * sigma) * (1.0 - tail - shelf)
    # The first channel reaches below 0 keV, where the even shelf is not stopped; the wings are cut at the reach.
    # 3e-5: next terms of the wings beyond 8 σ; the tail's exponential at 0 keV is below exp(-33).
    assert counts[1:].sum() == pytest.approx(area * (1.0 - cut_off), rel=3e-5)


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
def test_nothing_jumps_where_the_far_formula_takes_over(scale: float) -> None:
    parts = (0.055, 0.002, 0.02, scale, 0.01, 5.0, 1.2)
    for side in (-8.0, 8.0):
        near = cumulative_line(side * 0.055 * (1.0 - 1e-9), *parts)
        far = cumulative_line(side * 0.055 * (1.0 + 1e-9), *parts)
        # First neglected term of the wing: 15/8⁶ of g/(8πσ), that is 8e-8 of the line.
        assert near == pytest.approx(far, abs=2e-7)


@pytest.mark.xfail(
    strict=True,
    reason="beyond 8 σ the tail is inf x 0 when its scale is below σ/40; within 8 σ this is guarded",
)
def test_very_short_tail_stays_finite() -> None:
    assert np.isfinite(line(FINE, sigma=0.08, tail=0.02, tail_scale=0.001)).all()


@pytest.mark.xfail(strict=True, reason="the shelf goes on below 0 keV, against the docstring of add_lines")
def test_shelf_ends_at_zero_energy() -> None:
    assert line(np.array([-0.2, -0.1, 0.0, 1.0]), shelf=0.1)[:2] == pytest.approx([0.0, 0.0], abs=1e-12)


def arguments(kernel: str) -> tuple[tuple[FloatArray, ...], tuple[Any, ...]]:
    """Output arrays and inputs for a kernel that fills arrays."""
    rng = np.random.default_rng(5)
    n = 4
    edges = np.arange(4.0, 6.0, 0.02)
    energy, area, sigma = rng.uniform(4.2, 5.8, n), rng.uniform(1.0, 9.0, n), rng.uniform(0.04, 0.06, n)
    half_width = np.array([0.0, 0.001, 0.002, 0.003])
    if kernel == "add_lines":
        column = np.array([0, 1, 1, 0])
        rest = (half_width, np.full(n, 0.02), np.full(n, 0.1), np.full(n, 0.005), 1.2)
        return (np.zeros((2, edges.size - 1)),), (column, edges, energy, area, sigma, *rest)
    if kernel == "add_smooth":
        return (np.zeros(edges.size - 1),), (edges, energy, area, sigma)
    out = (np.zeros(edges.size - 1), np.zeros((2, edges.size - 1)))
    return out, (edges, energy, area, sigma, half_width, energy)


@pytest.mark.parametrize("name", ["add_lines", "add_smooth", "add_line_derivatives"])
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


def test_compiled_and_python_cumulative_lines_are_equal() -> None:
    for distance, half_width, tail, shelf in itertools.product(
        (-2.0, -0.5, -0.44, -0.1, 0.0, 0.1, 0.44, 0.5, 2.0), (0.0, 0.003), (0.0, 0.03), (0.0, 0.01)
    ):
        values = (distance, 0.055, half_width, tail, 0.1, shelf, 5.0, 1.2)
        # As above.
        assert cumulative_line(*values) == pytest.approx(python(cumulative_line)(*values), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["add_lines", "add_smooth", "add_line_derivatives"])
@pytest.mark.parametrize("form", ["compiled", "python"])
def test_no_line_and_no_channel_change_nothing(name: str, form: str) -> None:
    kernel = getattr(lineshape, name) if form == "compiled" else python(getattr(lineshape, name))
    out, inputs = arguments(name)
    empty = [np.zeros(0, dtype=v.dtype) if isinstance(v, np.ndarray) and v.size == 4 else v for v in inputs]
    kernel(*out, *empty)
    assert not any(part.any() for part in out)
    one_edge = [v[:1] if isinstance(v, np.ndarray) and v.size > 4 else v for v in inputs]
    kernel(*(part[..., :0] for part in out), *one_edge)


@pytest.mark.parametrize("name", ["add_lines", "add_smooth", "add_line_derivatives"])
def test_frozen_inputs_are_accepted_and_left_alone(name: str) -> None:
    out, inputs = arguments(name)
    before = [np.copy(v) for v in inputs]
    for value in inputs:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    getattr(lineshape, name)(*out, *inputs)
    assert all(np.array_equal(a, b) for a, b in zip(before, inputs, strict=True))


def poisoned() -> Iterator[tuple[str, int, float]]:
    places = {"add_lines": (2, 3, 4, 5, 6), "add_smooth": (2,), "add_line_derivatives": (1, 2, 4)}
    for name, positions in places.items():
        for position in positions:
            yield name, position, np.nan
    yield "add_lines", 3, np.inf
    yield "add_smooth", 2, np.inf
    yield "add_line_derivatives", 2, np.inf


@pytest.mark.parametrize(("name", "position", "value"), list(poisoned()))
def test_what_is_no_number_is_not_swallowed(name: str, position: int, value: float) -> None:
    out, inputs = arguments(name)
    inputs[position][1] = value
    try:
        getattr(lineshape, name)(*out, *inputs)
    except ValueError:  # plain Python (NUMBA_DISABLE_JIT=1) cannot take the integer part of NaN, and says so
        assert np.isnan(value)
        return
    assert all(not np.isfinite(part).all() for part in out)


@pytest.mark.parametrize("position", [1, 3])
@pytest.mark.xfail(strict=True, reason="add_smooth finds no channel for an energy or a width that is NaN, and goes on")
def test_smooth_light_without_energy_or_width_is_not_swallowed(position: int) -> None:
    out, inputs = arguments("add_smooth")
    inputs[position][1] = np.nan
    add_smooth(*out, *inputs)
    assert np.isnan(out[0]).any()


@given(
    energy=st.lists(st.floats(3.0, 7.0), min_size=1, max_size=5),
    sigma=st.floats(0.02, 0.2),
    step=st.floats(0.005, 0.2),
)
def test_smooth_light_is_a_sum_of_gaussians(energy: list[float], sigma: float, step: float) -> None:
    edges = np.arange(4.0, 6.0, step)
    area = np.arange(1.0, len(energy) + 1.0)
    out = np.zeros(edges.size - 1)
    add_smooth(out, edges, np.array(energy), area, np.full(len(energy), sigma))
    below = stats.norm.cdf((edges[:, None] - np.array(energy)) / sigma)
    # Beyond 7 σ, where 2.6e-12 of a line remain, nothing is added.
    assert out == pytest.approx(np.diff(below @ area), abs=1e-10)


def test_derivatives_are_those_of_the_lines() -> None:
    edges = np.arange(4.0, 6.0, 0.01)
    sigma, step = 0.055, 1e-4
    shift, broadening = np.zeros(edges.size - 1), np.zeros((2, edges.size - 1))
    one = np.ones(1)
    add_line_derivatives(shift, broadening, edges, 5.0 * one, 3.0 * one, sigma * one, 0.0 * one, 7.0 * one)
    moved = (line(edges, energy=5.0 + step, area=3.0) - line(edges, energy=5.0 - step, area=3.0)) / (2.0 * step)
    # Central differences of step 1e-4 keV: (step/σ)² = 3e-6; the line is cut at 7 σ.
    assert shift == pytest.approx(moved, abs=1e-5 * np.abs(moved).max())
    wide, narrow = (np.sqrt(sigma**2 + sign * 1e-6) for sign in (1.0, -1.0))
    wider = (line(edges, sigma=float(wide), area=3.0) - line(edges, sigma=float(narrow), area=3.0)) / 2e-6
    assert broadening[0] == pytest.approx(wider, abs=1e-5 * np.abs(wider).max())
    assert broadening[1] == pytest.approx(7.0 * broadening[0], rel=1e-14)


def test_derivatives_of_wide_lines_are_close_to_those_of_a_gaussian() -> None:
    edges = np.arange(4.0, 6.0, 0.01)
    step, half_width = 1e-4, 0.003
    shift, broadening = np.zeros(edges.size - 1), np.zeros((2, edges.size - 1))
    one = np.ones(1)
    add_line_derivatives(shift, broadening, edges, 5.0 * one, one, 0.055 * one, half_width * one, one)
    moved = (
        line(edges, energy=5.0 + step, half_width=half_width) - line(edges, energy=5.0 - step, half_width=half_width)
    ) / (2.0 * step)
    # A search direction, not a result: that of a slightly wider Gaussian is within a tenth of the true one.
    assert shift == pytest.approx(moved, abs=0.1 * np.abs(moved).max())
