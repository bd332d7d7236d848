"""Lanthanoids on a continuum: templates from the tables, and spectra made of them whose areas are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.atomic import XrayLine, _tables, atomic_number, emission_lines, line_group_shells
from xrfree.fit import FitSettings, Light, LineCluster, Templates
from xrfree.fit.response import spread_light, spread_lines
from xrfree.instrument import Response
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

FloatArray = NDArray[np.float64]

EXCITING_KEV = 10.0
GROUPS = ("La L", "Ce L", "Pr L", "Nd L")
AREAS = {"La L": 40_000.0, "Ce L": 80_000.0, "Pr L": 9_000.0, "Nd L": 30_000.0}
CONTINUUM = 400_000.0
SCALE = EnergyScale(zero_kev=0.0, gain_kev=0.02)
N_CHANNELS = 400


def group_lines(group: str) -> list[tuple[XrayLine, float]]:
    """Lines of a group with their strengths at one exciting energy."""
    element, series = group.split()
    z = atomic_number(element)
    found = []
    for shell in line_group_shells(series):
        made = sum(
            n * _tables.shell_photo_absorption(z, donor, np.array([EXCITING_KEV]))[0]
            for donor, n in _tables.vacancy_transfer(z, shell).items()
        )
        found += [(ln, float(made * ln.line_fraction)) for ln in emission_lines(element, shell, least_fraction=5e-3)]
    return found


def templates_of(groups: Sequence[str], names: Sequence[str] | None = None) -> Templates:
    """One cluster for each subshell of each group; a smooth continuum and no lines of a tube.

    names : what the groups are called, if not by what they are.
    """
    called = tuple(names or groups)
    clusters: list[LineCluster] = []
    owner: list[int] = []
    lines: list[tuple[XrayLine, float, int]] = []
    for index, group in enumerate(groups):
        own = group_lines(group)
        shells = list(dict.fromkeys(line.shell for line, _ in own))
        total = {s: sum(w for line, w in own if line.shell == s) for s in shells}
        for shell in shells:
            lines += [(line, w, len(clusters)) for line, w in own if line.shell == shell]
            leading = total[shell] == max(total.values())
            clusters.append(LineCluster(group=called[index], name=shell, leading=leading))
            owner.append(index)
    energy = np.linspace(2.0, 8.0, 601)
    return Templates(
        groups=called,
        clusters=tuple(clusters),
        cluster_group=np.array(owner),
        energy_kev=np.array([line.energy_kev for line, _, _ in lines]),
        strength=np.array([w for _, w, _ in lines]),
        half_width_kev=np.array([0.5 * line.natural_width_kev for line, _, _ in lines]),
        is_k=np.array([line.shell == "K" for line, _, _ in lines]),
        line_cluster=np.array([c for _, _, c in lines]),
        shoulder=Light(energy_kev=np.zeros(0), strength=np.zeros(0)),
        shoulder_cluster=np.zeros(0, dtype=np.int64),
        continuum=Light(energy_kev=energy, strength=0.5 + energy / 8.0),
        tube=(),
    )


def expected_counts(
    templates: Templates,
    areas: Mapping[str, float],
    response: Response,
    *,
    continuum: float = CONTINUUM,
    rise_kev: float = 0.0,
) -> FloatArray:
    """Counts per channel of known areas; rise_kev : how far the stated energy scale lies above the true one."""
    edges = SCALE.edges_kev(N_CHANNELS) - rise_kev
    spread = spread_lines(templates, edges, response, "Si")
    shapes = spread.peaks + response.escape_scale * spread.escape
    amplitude = np.array([areas[g] for g in templates.groups]) / templates.group_strength
    light = Light(
        energy_kev=templates.continuum.energy_kev,
        strength=continuum * templates.continuum.strength / templates.continuum.strength.sum(),
    )
    return np.asarray(amplitude[templates.cluster_group] @ shapes + spread_light(light, edges, response, "Si"))


def spectrum_of(counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum:
    return Spectrum(
        counts=counts,
        live_time_s=live_time_s,
        real_time_s=live_time_s,
        energy_scale=SCALE,
        condition=ExcitationCondition(name="low"),
    )


class Band:
    """The lanthanoids' band, ready to be drawn and fitted."""

    groups = GROUPS
    areas = AREAS
    continuum = CONTINUUM
    response = Response(
        noise_kev=0.032, fano=0.117, tail_log_share=-4.5, tail_fall=2.0, tail_rest=0.5, shelf_log_share=-6.0
    )
    settings = FitSettings(ranges_kev=((4.2, 7.2),), background_terms=2)
    templates_of = staticmethod(templates_of)
    spectrum_of = staticmethod(spectrum_of)
    expected_counts = staticmethod(expected_counts)

    def __init__(self) -> None:
        self.templates = templates_of(GROUPS)
        self.expected = expected_counts(self.templates, AREAS, self.response)

    def drawn(self, seed: int, *, factor: float = 1.0, live_time_s: float = 100.0) -> Spectrum:
        """A Poisson replica."""
        return spectrum_of(np.random.default_rng(seed).poisson(factor * self.expected), live_time_s)


@pytest.fixture(scope="session")
def band() -> Band:
    return Band()


MakeTemplates = Callable[..., Templates]
