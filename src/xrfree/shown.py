"""Nouns that a notebook draws, and that go over into tables of other libraries.

How, `xrfree.report` knows, which stands above the nouns. This is the one place that reaches up to it: by name, and only
when somebody looks. No number depends on it, and no noun knows what it will look like.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Shown:
    """A noun with a rich representation and a hand-over to pandas, polars and xarray."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """What Jupyter shows: facts, figure and tables as HTML; everything that comes from outside is escaped."""
        return str(import_module("xrfree.report.notebook").html(self))

    def to_pandas(self) -> Any:
        """The noun as a pandas.DataFrame: one row per channel, line group or component; units of the noun.

        Raises XrfreeError where pandas is not installed.
        """
        return import_module("xrfree.report.handover").to_pandas(self)

    def to_polars(self) -> Any:
        """The noun as a polars.DataFrame, with the columns of `to_pandas`.

        Raises XrfreeError where polars is not installed.
        """
        return import_module("xrfree.report.handover").to_polars(self)

    def to_xarray(self) -> Any:
        """The noun as an xarray.Dataset, with covariances and budgets as arrays of labelled axes.

        Raises XrfreeError where xarray is not installed.
        """
        return import_module("xrfree.report.handover").to_xarray(self)
