"""Which line clusters share one factor, and how free it is: what a method says about single subshells.

Definition   The strength of cluster c of group G is that of the templates times 1 + p; p is 0 for the leading cluster
             of every group, whose strength is the area's, and the same parameter for clusters that are tied.
Validation   tests/fit/test_ratios.py: freed ratios are found, fixed ones stay, tied ones agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xrfree.errors import FitError
from xrfree.fit.inputs import SHIFT, LineCluster, Templates
from xrfree.method import FIXED, FREE, TIED, split_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioPlan:
    """Line ratios as parameters.

    parameter : of each cluster, "ratio:La L:L2-M4,5"; None where the factor is 1.
    free : parameters that the data alone decide; fixed : those that are not fitted.
    """

    parameter: tuple[str | None, ...]
    free: frozenset[str]
    fixed: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters, each once."""
        return tuple(dict.fromkeys(name for name in self.parameter if name is not None))

    def tied_groups(self, clusters: Sequence[LineCluster]) -> frozenset[str]:
        """Groups that share a parameter with another group."""
        groups: dict[str, set[str]] = {}
        for name, cluster in zip(self.parameter, clusters, strict=True):
            if name is not None:
                groups.setdefault(name, set()).add(cluster.group)
        return frozenset(group for together in groups.values() if len(together) > 1 for group in together)


def ratio_plan(templates: Templates, ratios: Mapping[str, str]) -> RatioPlan:
    """Parameters of all clusters.

    ratios : lines ("Pr L2", "La L3-N4,5") -> "free", "fixed", "tied", or other lines whose factor they share; see
        `xrfree.method.Region`. Lines of groups that the templates do not have are passed over.

    Raises FitError for lines that are no cluster of their group, or tied to a group that is not fitted.
    """
    clusters = templates.clusters
    strength = np.bincount(templates.line_cluster, weights=templates.strength, minlength=len(clusters))
    parameter = [None if c.leading else f"ratio:{c.group}:{c.name}" for c in clusters]
    free: set[str] = set()
    fixed: set[str] = set()
    shared: dict[str, str | None] = {}
    followers = {}
    for lines, choice in ratios.items():
        members = _members(templates, lines)
        if members is None:
            continue
        strongest = max((k for k in members if not clusters[k].leading), key=lambda k: strength[k], default=None)
        whole = any(clusters[k].leading for k in members)
        own = None if strongest is None else parameter[strongest]
        if choice == FIXED:
            fixed |= {name for k in members if (name := parameter[k]) is not None}
            continue
        if choice == FREE and own is not None:
            free.add(own)
        elif choice == TIED and whole:
            own = None
        elif choice not in (FREE, TIED):
            followers[lines] = choice
        shared[lines] = own
        for k in members:
            parameter[k] = None if clusters[k].leading else own
    for lines, other in followers.items():
        name = shared[other] if other in shared else _factor_of(templates, parameter, strength.tolist(), lines, other)
        for k in _members(templates, lines) or []:
            parameter[k] = None if clusters[k].leading else name
    return RatioPlan(parameter=tuple(parameter), free=frozenset(free), fixed=frozenset(fixed))


def _members(templates: Templates, lines: str) -> list[int] | None:
    """Clusters that are meant; None if their group is not fitted."""
    group, part = split_lines(lines)
    if group not in templates.groups:
        return None
    own = [k for k, c in enumerate(templates.clusters) if c.group == group and c.name != SHIFT]
    found = [k for k in own if _is_part(templates.clusters[k], part)]
    if not found:
        there = ", ".join(f"'{templates.clusters[k].name}'" for k in own)
        raise FitError(f"{group} has no line cluster '{part}', but {there}; correct the method's ratios")
    return found


def _is_part(cluster: LineCluster, part: str) -> bool:
    return cluster.name == part or cluster.name.startswith(f"{part}-")


def _factor_of(
    templates: Templates, parameter: list[str | None], strength: list[float], lines: str, other: str
) -> str | None:
    """Parameter of the strongest of the lines that others are tied to."""
    members = _members(templates, other)
    if members is None:
        raise FitError(f"{lines} is tied to {other}, which is not among the fitted lines; correct the method's ratios")
    return parameter[max(members, key=lambda k: strength[k])]
