"""Plants whose flows are known, for tests and benchmarks of the material balance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xrfree.flow.sheet import OUTSIDE, Contents, FlowSheet, Measured, Stream

FloatArray = NDArray[np.float64]
COMPONENTS = ("Fe", "La", "Ce", "Pr", "Nd", "Sm", "Nb", "Th")


def random_plant(
    n_steps: int,
    rng: np.random.Generator,
    *,
    components: tuple[str, ...] = COMPONENTS,
    shares: tuple[float, float, float] = (6.0, 1.0, 2.0),
) -> list[Stream]:
    """True streams of a chain of separators with recycles: each step has a concentrate, a tailing and a middling.

    The concentrate feeds the next step, the middling goes back one step, the tailing leaves the plant.
    """
    n, feed = len(components), 1e6
    grade = rng.uniform(0.005, 0.05, n)
    grade[0] = 0.35
    # amounts of dry mass (0) and components (1 ...) through each step: a linear system of splits
    split = rng.dirichlet(shares, size=(n_steps, n + 1))
    split[:, 0] = split[:, 1:].mean(axis=1)
    amounts = np.zeros((n_steps, n + 1))
    for k in range(n + 1):
        matrix = np.eye(n_steps)
        for i in range(n_steps - 1):
            matrix[i + 1, i] -= split[i, k, 0]
            matrix[i, i + 1] -= split[i + 1, k, 1]
        source = np.zeros(n_steps)
        source[0] = feed if k == 0 else feed * grade[k - 1]
        amounts[:, k] = np.linalg.solve(matrix, source)
    streams = [_true("feed", OUTSIDE, "step 0", np.array([feed, *(feed * grade)]), components)]
    for i in range(n_steps):
        out = amounts[i][:, None] * split[i]
        streams.append(
            _true(
                f"concentrate {i}", f"step {i}", f"step {i + 1}" if i + 1 < n_steps else OUTSIDE, out[:, 0], components
            )
        )
        streams.append(_true(f"middling {i}", f"step {i}", f"step {i - 1}" if i else OUTSIDE, out[:, 1], components))
        streams.append(_true(f"tailing {i}", f"step {i}", OUTSIDE, out[:, 2], components))
    return streams


def _true(name: str, source: str, target: str, amount: FloatArray, components: tuple[str, ...]) -> Stream:
    n = len(components)
    contents = Contents(components=components, mass_fraction=amount[1:] / amount[0], covariance=np.zeros((n, n)))
    moisture = 0.08
    return Stream(
        name=name,
        source=source,
        target=target,
        wet_mass=Measured(value=float(amount[0] / (1.0 - moisture)), standard_uncertainty=0.0),
        moisture=Measured(value=moisture, standard_uncertainty=0.0),
        contents=contents,
    )


def measured(
    streams: list[Stream],
    rng: np.random.Generator,
    *,
    mass: float = 0.01,
    moisture: float = 0.003,
    content: float = 0.02,
    correlation: float = 0.3,
    name: str = "plant",
) -> FlowSheet:
    """What instruments would say of true streams; relative standard uncertainties, of the moisture absolute."""
    found = []
    for stream in streams:
        assert stream.wet_mass is not None
        assert stream.moisture is not None
        x = stream.contents.mass_fraction
        n = len(x)
        u = content * x
        covariance = np.outer(u, u) * (correlation * np.ones((n, n)) + (1.0 - correlation) * np.eye(n))
        u_mass = mass * stream.wet_mass.value
        found.append(
            Stream(
                name=stream.name,
                source=stream.source,
                target=stream.target,
                wet_mass=Measured(value=float(rng.normal(stream.wet_mass.value, u_mass)), standard_uncertainty=u_mass),
                moisture=Measured(
                    value=float(rng.normal(stream.moisture.value, moisture)), standard_uncertainty=moisture
                ),
                contents=Contents(
                    components=stream.contents.components,
                    mass_fraction=rng.multivariate_normal(x, covariance),
                    covariance=covariance,
                ),
            )
        )
    return FlowSheet(name=name, components=streams[0].contents.components, streams=tuple(found))
