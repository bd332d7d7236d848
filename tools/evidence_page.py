"""Figures of benchmarks for people: the page of evidence, and the table of peers in the readme.

    python tools/evidence_page.py        # writes the table of README.md anew

Every figure comes from docs/evidence, where `python benchmarks/NAME.py --json docs/evidence/NAME.json` leaves it, and
every explanation from the head of that script. What was not run is not shown, or said to be missing.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ROOT / "docs" / "evidence"
BENCHMARKS = ROOT / "benchmarks"
TABLE_BEGIN = "<!-- made by tools/evidence_page.py -->"
TABLE_END = "<!-- end -->"

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "Does the whole chain find the truth, and how sure is it?": ("accuracy", "coverage", "oreas", "interference"),
    "Is each part right?": ("fit_accuracy", "area_accuracy", "matrix_accuracy", "regression", "reconciliation"),
    "Does it hold what must be held, and lose nothing?": ("gates", "batch_robustness", "readers_fuzz"),
    "How fast is it?": ("fit_speed", "matrix_speed", "readers_speed", "batch_speed", "cold_compile"),
}
"""Benchmarks by what they answer; others follow under a heading of their own."""
TITLES: Mapping[str, str] = {
    "accuracy": "Accuracy of the whole chain",
    "coverage": "Coverage of stated intervals",
    "oreas": "Certified laterites, simulated",
    "interference": "Interferences",
    "fit_accuracy": "Accuracy of the fit",
    "area_accuracy": "Net areas against the counts that were put in",
    "fit_speed": "Speed of the fit",
    "matrix_accuracy": "Accuracy of the matrix model",
    "matrix_speed": "Speed of the matrix model",
    "regression": "Regression against certified values",
    "reconciliation": "Material balances",
    "gates": "Gates",
    "batch_robustness": "Batches that are killed",
    "batch_speed": "Speed of batches",
    "cold_compile": "Compilation of a fresh installation",
    "readers_speed": "Speed of readers",
    "readers_fuzz": "Damaged files",
}
HEADINGS: Mapping[str, str] = {
    "median_abs_rel_error": "median of relative errors",
    "bias": "mean relative error",
    "rms_z": "rms of error over stated u",
    "coverage95": "share within 95 % intervals",
    "norm_rms": "rms of normalised error",
    "bias_sigma": "bias, u",
    "off_sigma": "off by, u",
    "scatter_over_crb": "scatter over Cramér-Rao bound",
    "stated_over_scatter": "stated over real scatter",
    "digits": "certified digits",
    "sd_digits": "certified digits of the standard error",
    "per_s": "per second",
    "cpu_ms": "processor time, ms",
}
"""Columns of tables by the ends of the names of figures."""
FEWEST_ROWS = 3
"""Figures that end alike from which on they become a column."""
_DEFINED = re.compile(r"^((?:[a-zA-Z]\w*)(?:, \w+)*)(?: : |\s{2,})(\S.*)$|^((?:[a-zA-Z]\w*)(?:, \w+)*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A row of the table of peers: the question, ours and theirs with figures of one benchmark put in."""

    benchmark: str
    question: str
    ours: str
    theirs: str


PEERS = (
    Peer(
        benchmark="fit_speed",
        question="Fits with all parameters free, per second of one core",
        ours="{nonlinear_per_s:.0f}",
        theirs="PyMca: {over_pymca_nonlinear:.0f} times fewer",
    ),
    Peer(
        benchmark="fit_speed",
        question="Fits of the areas alone, per second of one core",
        ours="{linear_per_s:.0f}",
        theirs="PyMca, fast fit: {over_pymca_fast:.1f} times fewer",
    ),
    Peer(
        benchmark="matrix_speed",
        question="All lines of a 23-element ore, secondary excitation included",
        ours="{forward_ms:.1f} ms",
        theirs="fisx: {over_fisx:.0f} times longer",
    ),
    Peer(
        benchmark="matrix_accuracy",
        question="The same lines with the same constants, largest difference",
        ours="{worst_vs_fisx:.1e} of the line",
        theirs="fisx",
    ),
    Peer(
        benchmark="readers_speed",
        question="Files of one format, per second of one process",
        ours="{over_pymca:.1f} times as many",
        theirs="PyMca",
    ),
    Peer(
        benchmark="regression",
        question="One curve with errors in both variables",
        ours="{fit_s:.2g} s",
        theirs="odrpack: {odrpack_fit_s:.2g} s, coefficients equal within {odrpack_agreement:.0e} u",
    ),
)


def evidence_page(folder: Path) -> str:
    """Markdown of the page: every benchmark by the question it answers, with its figures and the machine."""
    scripts = {script.stem: script for script in sorted(BENCHMARKS.glob("[a-z]*.py"))}
    known = {name for names in QUESTIONS.values() for name in names}
    others = tuple(name for name in scripts if name not in known)
    groups = {**QUESTIONS, **({"More": others} if others else {})}
    text = [
        "# Evidence\n",
        "Every figure on this page was written by a script in `benchmarks/`, which prints the peer measured in the "
        "same run and asserts its answers. Run it yourself: "
        "`python benchmarks/NAME.py --json docs/evidence/NAME.json`.\n",
        "Spectra that xrfree simulates and then assays prove that its parts fit together, and nothing about nature; "
        "each benchmark says where its spectra come from. What none of them proves stands in [limits](limits.md).\n",
    ]
    for question, names in groups.items():
        text.append(f"## {question}\n")
        for name in names:
            if name in scripts:
                text += _benchmark(name, scripts[name], folder / f"{name}.json")
    return "\n".join(text)


def _benchmark(name: str, script: Path, found: Path) -> list[str]:
    told = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    first, _, rest = told.partition("\n\n")
    text = [f"### {TITLES.get(name, name)}\n", f"{' '.join(first.split())} `benchmarks/{name}.py`\n"]
    if not found.exists():
        return [*text, "Not run yet.\n"]
    result = json.loads(found.read_text(encoding="utf-8"))
    environment = ", ".join(f"{key} {value}" for key, value in result["environment"].items())
    figures = _figures(result["figures"], _definitions(rest))
    return [*text, *figures, *_table(result.get("table")), f"Measured with {environment}.\n"]


def _table(table: Mapping[str, Any] | None) -> list[str]:
    """A table that a benchmark wrote beside its figures: columns, and rows."""
    if table is None:
        return []
    heads = [_cell(str(head)) for head in table["columns"]]
    rows = [f"| {' | '.join(map(_shown, row))} |" for row in table["rows"]]
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *rows, ""]


def _definitions(text: str) -> dict[str, str]:
    """What the head of a script says of a figure: "name  words" or "name : words", with indented lines after it."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in text.split("\n"):
        if names and line.startswith("  ") and line.strip():
            for name in names:
                found[name] = f"{found[name]} {line.strip()}".strip()
            continue
        match = _DEFINED.match(line)
        names = (match[1] or match[3]).split(", ") if match else []
        found.update((name, (match[2] if match else "") or "") for name in names)
    return {name: words.rstrip(".") for name, words in found.items() if words}


def _figures(figures: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
    """Tables of figures: those that end alike side by side, the others one below the other."""
    columns = _columns([name for name in figures if name not in words])
    rows: dict[str, dict[str, Any]] = {}
    for name, (row, column) in columns.items():
        rows.setdefault(row, {})[column] = figures[name]
    heads = list(dict.fromkeys(column for _, column in columns.values()))
    text = []
    if rows:
        text += [
            f"| | {' | '.join(HEADINGS.get(h, h.replace('_', ' ')) for h in heads)} |",
            "|---|" + "---:|" * len(heads),
        ]
        text += [
            f"| {_row_name(row)} | {' | '.join(_shown(held.get(h)) for h in heads)} |" for row, held in rows.items()
        ]
        text.append("")
    single = {name: value for name, value in figures.items() if name not in columns}
    if single:
        text += ["| figure | value | |", "|---|---:|---|"]
        text += [f"| `{name}` | {_shown(value)} | {_cell(words.get(name, ''))} |" for name, value in single.items()]
        text.append("")
    return text


def _columns(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Row and column of the figures whose names end alike: by the longest end that enough of them share."""
    known = list(names)
    splits = {n: [(n[:i], n[i + 1 :]) for i, sign in enumerate(n) if sign == "_"] for n in known}
    shared: dict[str, int] = {}
    for ends in splits.values():
        for _, end in ends:
            shared[end] = shared.get(end, 0) + 1
    found = {}
    for name in known:
        split = next(
            ((row, end) for row, end in splits[name] if shared[end] >= FEWEST_ROWS and end not in ("s", "ms")), None
        )
        if split is not None and split[0]:
            found[name] = split
    return found


def _row_name(row: str) -> str:
    return row.replace("_", " ")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else _cell(str(value))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def peers_table(folder: Path) -> str:
    """Markdown of the table of peers: rows of those benchmarks that were run."""
    rows = []
    for peer in PEERS:
        path = folder / f"{peer.benchmark}.json"
        figures = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else {}
        try:
            ours, theirs = peer.ours.format(**figures), peer.theirs.format(**figures)
        except KeyError:  # not run, or run without the peer
            continue
        rows.append(f"| {peer.question} | {ours} | {theirs} | `{peer.benchmark}.py` |")
    return "\n".join(["| | xrfree | peer in the same run | measured by |", "|---|---|---|---|", *rows])


def with_table(readme: str, table: str) -> str:
    """The readme with this table between its marks.

    Raises ValueError for a readme without the marks.
    """
    before, begin, rest = readme.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise ValueError(f"README.md has no place for the table: {TABLE_BEGIN} ... {TABLE_END}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> int:
    """Write the table of the readme."""
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), peers_table(EVIDENCE)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
