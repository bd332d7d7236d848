"""Generated pages of the documentation: commands, documents, Python, evidence. mkdocs calls it as a hook.

    mkdocs build --strict

The pages are made of what the program itself says: help texts, JSON schemas, docstrings, and the figures that
benchmarks leave in docs/evidence (`python benchmarks/NAME.py --json docs/evidence/NAME.json`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_FIGURES = run_path(str(ROOT / "tools" / "evidence_page.py"))
PUBLIC_MODULES = (
    "xrfree.spectrum",
    "xrfree.areas",
    "xrfree.composition",
    "xrfree.specimen",
    "xrfree.instrument",
    "xrfree.reference",
    "xrfree.method",
    "xrfree.calibration",
    "xrfree.intensities",
    "xrfree.reported",
    "xrfree.assay",
    "xrfree.shown",
    "xrfree.errors",
    "xrfree.readers",
    "xrfree.fit",
    "xrfree.fit.region",
    "xrfree.quantification",
    "xrfree.simulation",
    "xrfree.planning",
    "xrfree.instrument_fit",
    "xrfree.calibration_fit",
    "xrfree.monte_carlo",
    "xrfree.plot",
    "xrfree.report.plots",
    "xrfree.report.result_plots",
    "xrfree.report.calibration_plots",
    "xrfree.report.charts",
    "xrfree.report.interactive",
    "xrfree.quality.limits",
    "xrfree.quality.combination",
    "xrfree.quality.charts",
    "xrfree.curves.review",
    "xrfree.flow.sheet",
    "xrfree.flow.reconciliation",
    "xrfree.flow.gross_errors",
    "xrfree.documents.method",
    "xrfree.documents.instrument",
    "xrfree.documents.calibration",
    "xrfree.documents.certificates",
    "xrfree.documents.specimens",
    "xrfree.documents.flowsheet",
    "xrfree.documents.shipped",
)
"""Modules of the Python reference: nouns, verbs, documents, figures."""


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages (hook of mkdocs)."""
    from mkdocs.structure.files import File

    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def generated_pages() -> dict[str, str]:
    """Path below docs/ and Markdown of every generated page."""
    return {
        "evidence.md": _FIGURES["evidence_page"](_FIGURES["EVIDENCE"]),
        "reference/commands.md": commands_page(),
        "reference/documents.md": documents_page(),
        "reference/python.md": python_page(),
    }


def commands_page() -> str:
    """Help of every command."""
    sys.path.insert(0, str(ROOT / "src"))
    import typer.main

    from xrfree.cli.app import app

    root = typer.main.get_command(app)
    text = ["# Commands\n", f"{root.help}\n", f"{root.epilog}\n"]
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        text += _command(f"xrfree {name}", command, 2)
    return "\n".join(text)


def _command(path: str, command: Any, level: int) -> list[str]:
    text = [f"{'#' * level} {path}\n", f"{_help(command.help or '')}\n"]
    rows = [f"| {_names(p)} | {_cell(getattr(p, 'help', '') or '')} |" for p in command.params if p.name != "help"]
    if rows:
        text += ["| | |", "|---|---|", *rows, ""]
    page = (command.epilog or "").rpartition(" ")[2]
    text += [f"More: [{page}](../{page}.md).\n"] if page else []
    for name, inner in getattr(command, "commands", {}).items():
        text += _command(f"{path} {name}", inner, level + 1)
    return text


def _help(text: str) -> str:
    r"""Paragraphs as they are; those after \b keep their lines."""
    parts = [part.strip("\n") for part in text.split("\n\n")]
    return "\n\n".join(f"```\n{part[1:].strip(chr(10))}\n```" if part.startswith("\b") else part for part in parts)


def _names(parameter: Any) -> str:
    names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.metavar or parameter.name
    return f"`{names}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def documents_page() -> str:
    """What each kind of document may hold, from its JSON schema."""
    sys.path.insert(0, str(ROOT / "src"))
    from xrfree.documents.schemas import json_schema, schema_names

    text = [
        "# Documents\n",
        "Documents are TOML. `xrfree schema NAME` prints the JSON schema, for editors and programs; an error in a "
        "document names the place inside it. Units stand in the names.\n",
    ]
    for name in schema_names():
        schema = json_schema(name)
        text.append(f"## {name}\n")
        text.append(f"{_cell(schema.get('description', ''))}\n")
        text += _properties(schema)
        for part, inner in schema.get("$defs", {}).items():
            if "properties" in inner:
                text += [f"### {part} ({name})\n", f"{_cell(inner.get('description', ''))}\n", *_properties(inner)]
    return "\n".join(text)


def _properties(schema: Mapping[str, Any]) -> list[str]:
    required = set(schema.get("required", ()))
    rows = [
        f"| `{key}` | {_type(value)} | {_default(key, value, required)} | {_cell(value.get('description', ''))} |"
        for key, value in schema.get("properties", {}).items()
    ]
    return ["| key | holds | default | |", "|---|---|---|---|", *rows, ""]


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return str(value["$ref"].rpartition("/")[2])
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"])
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    kind = str(value.get("type", "anything"))
    return f"list of {_type(value['items'])}" if kind == "array" and "items" in value else kind


def _default(key: str, value: Mapping[str, Any], required: set[str]) -> str:
    if key in required:
        return "required"
    return f"`{json.dumps(value['default'])}`" if "default" in value else "–"


def python_page() -> str:
    """The reference of the Python names, filled in by mkdocstrings."""
    text = [
        "# Python\n",
        "The public names are importable from `xrfree` itself; below they stand where they live. Quantities carry "
        "their unit in their name: keV, s, rad, cm, g/cm², kg/kg.\n",
    ]
    return "\n".join([*text, *(f"::: {module}\n" for module in PUBLIC_MODULES)])
