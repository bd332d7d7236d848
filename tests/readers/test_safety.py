"""Nothing in the readers unpickles, evaluates, expands entities, or lets a library open files: told by their source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import xrfree.readers

TREES = {
    path.name: ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(Path(xrfree.readers.__file__).parent.glob("*.py"))
}
# Modules that run what they read, or that parse XML with entities.
FORBIDDEN_MODULES = {
    "pickle", "_pickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "joblib", "copyreg", "yaml", "code",
    "xml.sax", "xml.dom", "xml.dom.minidom", "xml.dom.pulldom", "lxml", "pandas", "importlib.util", "runpy", "ctypes",
    "urllib.request", "http.client", "socket", "ftplib", "tempfile", "shutil",
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    "fromfile",
    "memmap",
    "load",
    "loadz",
    "read_pickle",
    "system",
    "popen",
    "fromstring",
    "iterparse",
}
# `json.loads` is another name; numpy's fromstring reads numbers, and `readers/__init__` loads entry points.
ALLOWED = {("_text.py", "fromstring"), ("__init__.py", "load")}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("name", TREES)
def test_no_reader_runs_what_it_reads(name: str) -> None:
    assert not FORBIDDEN_MODULES & set(imported(TREES[name]))
    calls = [node.func for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)]
    assert not FORBIDDEN_CALLS & {call.id for call in calls if isinstance(call, ast.Name)}
    called = {(name, call.attr) for call in calls if isinstance(call, ast.Attribute)}
    assert not FORBIDDEN_ATTRIBUTES & {attribute for _, attribute in called - ALLOWED}
    assert "allow_pickle" not in {node.arg for node in ast.walk(TREES[name]) if isinstance(node, ast.keyword)}


def test_xml_is_parsed_in_one_place_which_refuses_declarations() -> None:
    used = {(name, module) for name, tree in TREES.items() for module in imported(tree) if module.startswith("xml.")}
    assert {name for name, module in used if module.startswith("xml.parsers")} == {"_xml.py"}
    elements = {module.removeprefix("xml.etree.") for _, module in used if not module.startswith("xml.parsers")}
    assert elements == {"ElementTree", "ElementTree.Element", "ElementTree.TreeBuilder"}


def test_hdf5_files_of_others_are_opened_from_bytes_alone() -> None:
    """h5py gets a stream, never a name: what a file names outside of itself has no folder to lie in."""
    calls = [
        (name, ast.unparse(node.args[0]))
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "h5py.File"
    ]
    assert {what for name, what in calls if name != "nexus_hdf5.py"} == {"io.BytesIO(content)"}
