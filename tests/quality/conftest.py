"""Assays made by hand."""

from pathlib import Path
from runpy import run_path

make_assay = run_path(str(Path(__file__).parents[1] / "handmade.py"))["make_assay"]
