"""Sums of Sherman's equation: plain array algebra, the plain Python twin, and what must not pass through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

from xrfree.kernels import sherman

FloatArray = NDArray[np.float64]
NAMES = (
    "inward_sums",
    "outward_sums",
    "scattering_sums",
    "lost_downwards",
    "gained_upwards",
    "scattering_beyond",
    "inward_slopes",
    "outward_slopes",
    "scattering_slopes",
)
N_ENERGIES, N_LINES, N_EXCITING, N_GROUPS = 6, 5, 4, 3


def forms(name: str) -> list[Callable[..., Any]]:
    """The kernel compiled, and the plain function behind it."""
    compiled = getattr(sherman, name)
    return [compiled, getattr(compiled, "py_func", compiled)]


def arguments(name: str) -> tuple[tuple[Any, ...], list[Any]]:
    """Outputs, and inputs with a subshell that some photons cannot ionise."""
    rng = np.random.default_rng(3)
    a, b, mu = (10.0 ** rng.uniform(1.0, 2.5, n) for n in (N_ENERGIES, N_LINES, N_EXCITING))
    production = rng.uniform(1.0, 50.0, (N_GROUPS, N_ENERGIES))
    production[1, :3] = 0.0
    excited = rng.uniform(1.0, 50.0, (N_GROUPS, N_EXCITING))
    excited[2, 1:] = 0.0
    group, line_group = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2, 2])
    strength = np.array([0.1, 0.2, 0.0, 0.4])
    cosine, weight = np.array([0.1, 0.5, 0.9]), np.array([0.3, 0.4, 0.3])
    if name == "inward_sums":
        return (np.zeros((N_EXCITING, N_ENERGIES)),), [a, mu, strength, production, group]
    if name == "outward_sums":
        return (np.zeros((N_LINES, N_GROUPS)),), [b, mu, strength, group, excited, line_group]
    if name == "scattering_sums":
        geometry = rng.uniform(0.1, 1.0, (N_LINES, N_ENERGIES))
        rest = [0.9 * a, 0.1 * a, 0.2 * a, production, 0.9 * production, line_group, 0.6, 0.8]
        return (np.zeros(N_LINES), np.zeros(N_LINES)), [geometry, a, b, *rest]
    if name == "inward_slopes":
        return (np.zeros((3, N_EXCITING, N_ENERGIES)),), [a, mu, production, group]
    if name == "outward_slopes":
        out = (np.zeros((N_LINES, N_GROUPS)), np.zeros(N_LINES), *(np.zeros((N_LINES, N_EXCITING)) for _ in range(2)))
        return out, [b, mu, strength, group, excited, line_group, rng.uniform(0.1, 1.0, (N_LINES, N_GROUPS))]
    if name == "scattering_slopes":
        empty = [np.zeros((N_LINES, N_ENERGIES)) for _ in range(5)]
        escape, slope = rng.uniform(0.1, 1.0, (2, N_LINES, N_ENERGIES))
        rest = [(a, b, 0.9 * a), (0.1 * a, 0.2 * a), production, 0.9 * production, line_group, 0.6, 0.8]
        return (tuple(empty[:4]), empty[4], np.zeros((3, N_LINES))), [escape, -slope, *rest]
    tangents = tuple(rng.uniform(1.0, 9.0, (n, 2)) for n in (N_ENERGIES, N_LINES, N_EXCITING, N_EXCITING))
    if name == "scattering_beyond":
        cross, change = (0.1 * a, 0.2 * a), (tangents[0] + 1.0, tangents[0] + 2.0)
        beams, changes = (a, b, 0.9 * a), (tangents[0], tangents[1], 0.9 * tangents[0])
        rest = [production, 0.9 * production, line_group, 0.6, 0.8, cosine, weight]
        empty = (np.zeros(N_LINES), np.zeros(N_LINES), np.zeros((N_LINES, 2)), np.zeros((N_LINES, 2)))
        return empty, [0.01, a, beams, changes, cross, change, *rest]
    source = [0.01, strength, tangents[3], production, group, excited, line_group, cosine, weight]
    beams = [(a, b, mu), tangents[:3]]
    out = (np.zeros(N_LINES), np.zeros((N_LINES, 2)))
    if name == "lost_downwards":
        return out, [*beams, *source]
    return out, [*beams, (1.1 * a, 1.2 * mu), (1.1 * tangents[0], 1.2 * tangents[2]), *source]


def arrays(values: Iterable[Any]) -> Iterator[FloatArray]:
    """Every array among arguments, tuples taken apart."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple):
            yield from arrays(value)


@pytest.mark.parametrize("name", NAMES)
def test_compiled_and_python_give_equal_numbers(name: str) -> None:
    results = []
    for form in forms(name):
        out, inputs = arguments(name)
        for value in arrays(inputs):
            value.setflags(write=False)
        form(*out, *inputs)
        assert all(part.any() for part in arrays(out))
        results.append(list(arrays(out)))
    for one, other in zip(*results, strict=True):
        # exp and log of two mathematical libraries differ in the last digits.
        assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_attenuation_is_not_swallowed(name: str) -> None:
    for form in forms(name):
        out, inputs = arguments(name)
        # the attenuation of the tube's photons, b for `outward_sums`
        place = {"scattering_slopes": 2}.get(name, 1 if name.startswith("scattering") else 0)
        list(arrays(inputs))[place][-1] = np.nan
        with np.errstate(invalid="ignore"):
            form(*out, *inputs)
        assert all(np.isnan(part).any() for part in arrays(out))


def test_logarithms_are_those_of_array_algebra() -> None:
    (inward,), (a, mu, strength, production, group) = arguments("inward_sums")
    sherman.inward_sums(inward, a, mu, strength, production, group)
    assert inward == pytest.approx((strength * np.log1p(a[:, None] / mu)).T / a * production[group], rel=1e-13)
    (outward,), (b, mu, strength, group, excited, line_group) = arguments("outward_sums")
    sherman.outward_sums(outward, b, mu, strength, group, excited, line_group)
    each = strength * excited[line_group] * np.log1p(b[:, None] / mu) / b[:, None]
    assert outward == pytest.approx(each @ np.eye(N_GROUPS)[group], rel=1e-13)


@pytest.mark.parametrize("ratio", [1e-9, 1e-3, 0.0999, 0.1001, 50.0])
def test_logarithm_keeps_its_digits(ratio: float) -> None:
    one = np.ones(1)
    inward = np.zeros((1, 1))
    sherman.inward_sums(inward, ratio * one, one, one, one[:, None], np.zeros(1, dtype=np.int64))
    assert inward[0, 0] == pytest.approx(np.log1p(ratio) / ratio, rel=1e-14)


@pytest.mark.parametrize("m", [3.0, 7.0, 7.0 + 1e-7, 7.01, 5000.0])
def test_light_from_depth_to_the_back_is_the_integral_over_depth(m: float) -> None:
    a, mass = 7.0, 0.2
    expected = integrate.quad(lambda z: np.exp(-a * z - m * (mass - z)), 0.0, mass, epsabs=0.0, epsrel=1e-11)[0]
    for form in forms("_between"):
        found, by_a, by_m = form(a, m, np.exp(-a * mass), np.exp(-m * mass), mass)
        # The series ends at the fifth power of 1e-2; beyond it differences of exponentials keep ten digits.
        assert found == pytest.approx(expected, rel=1e-10)
        change = [
            integrate.quad(lambda z, w=w: -w(z) * np.exp(-a * z - m * (mass - z)), 0.0, mass, epsabs=0.0, epsrel=1e-11)[
                0
            ]
            for w in (lambda z: z, lambda z: mass - z)
        ]
        assert (by_a, by_m) == pytest.approx(change, rel=1e-8)
