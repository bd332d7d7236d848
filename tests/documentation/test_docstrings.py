"""Everything that the Python reference shows has a docstring that names the shapes of arrays and the errors raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = run_path(str(ROOT / "tools" / "docs_pages.py"))["PUBLIC_MODULES"]
Definition = ast.FunctionDef | ast.ClassDef


def _public(nodes: list[ast.stmt], place: str) -> Iterator[tuple[str, Definition]]:
    for node in nodes:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{place}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{place}.{node.name}")


def _definitions(module: str) -> list[tuple[str, Definition]]:
    path = ROOT / "src" / module.replace(".", "/")
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    return list(_public(ast.parse(source.read_text(encoding="utf-8")).body, module))


def _raised(function: ast.FunctionDef) -> set[str]:
    calls = (n.exc.func for n in ast.walk(function) if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call))
    return {name for name in map(ast.unparse, calls) if name.endswith("Error")}


def _has_arrays(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    types = [a.annotation for a in arguments if a.annotation] + ([function.returns] if function.returns else [])
    return any("Array" in ast.unparse(t) for t in types)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_described(module):
    gaps = []
    for place, node in _definitions(module):
        text = ast.get_docstring(node) or ""
        if not text:
            gaps.append(f"{place}: no docstring")
        if not isinstance(node, ast.FunctionDef):
            continue
        if not any(name in text for name in _raised(node)) and _raised(node) and "errors are those of" not in text:
            gaps.append(f"{place}: does not say that it raises {', '.join(sorted(_raised(node)))}")
        if _has_arrays(node) and "shape" not in text:
            gaps.append(f"{place}: does not say the shapes of its arrays")
    assert not gaps, "\n".join(gaps)


UNIT = re.compile("_(kev|s|rad|cm|in|g_cm2|g_cm3|kv|per_s|fraction|fractions|counts)$")
"""Ends of names that say the unit."""


def _numbers(function: ast.FunctionDef) -> list[str]:
    """Arguments that hold numbers with a unit, or without one."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return [a.arg for a in arguments if a.annotation and re.search(r"\bfloat\b|Array", ast.unparse(a.annotation))]


@pytest.mark.parametrize("module", MODULES)
def test_every_number_says_what_it_is(module):
    """By the unit in its name, or by a word in the docstring."""
    gaps = [
        f"{place}: {name}"
        for place, node in _definitions(module)
        if isinstance(node, ast.FunctionDef)
        for name in _numbers(node)
        if not UNIT.search(name) and not re.search(rf"\b{name}\b", ast.get_docstring(node) or "")
    ]
    assert not gaps, "\n".join(gaps)


def test_the_reference_shows_every_public_name():
    import xrfree

    modules = {getattr(getattr(xrfree, name), "__module__", f"xrfree.{name}") for name in xrfree.__all__}
    assert modules - set(MODULES) == set()


def test_the_walk_finds_what_is_there():
    """The test above could not fail if it looked at nothing."""
    found = [place for module in MODULES for place, _ in _definitions(module)]
    assert len(found) > 200
    assert "xrfree.simulation.simulate" in found
    assert "xrfree.assay.Assay.standard_uncertainty" in found
