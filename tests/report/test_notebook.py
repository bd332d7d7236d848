"""Every noun draws itself in a notebook, and goes over into the tables of other libraries."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import xrfree
from xrfree import plot
from xrfree.documents.shipped import shipped_path
from xrfree.errors import XrfreeError
from xrfree.intensities import IntensityKind, LineIntensities, LineIntensity
from xrfree.quantification import common_solution, matched_conditions, prepare
from xrfree.report import notebook
from xrfree.reported import ReportedResults, ReportedValue
from xrfree.spectrum import Measurement

NOUNS = ("Assay", "Calibration", "Composition", "LineIntensities", "Measurement", "NetAreas", "ReferenceMaterial")
NOUNS += ("ReportedResults", "Spectrum")
PNG = "data:image/png;base64,"


@pytest.fixture(scope="module")
def measurement() -> Measurement:
    folder = shipped_path("spectra", "demo")
    halves = [xrfree.read_measurement(folder / f"laterite-high.{name}.csv") for name in ("low", "high")]
    spectra = {name: s for half in halves for name, s in half.spectra.items()}
    both = Measurement(specimen="<b>laterite</b>", spectra=spectra, sources=halves[0].sources)
    return matched_conditions(both, xrfree.load_method(shipped_path("methods", "iron-ore-edxrf.toml")))


@pytest.fixture(scope="module")
def region_fit(measurement):
    method = xrfree.load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    prepared = prepare(method, xrfree.load_instrument(shipped_path("fitted", "example-edxrf.toml")))
    return common_solution(measurement, prepared, method.specimen).fits[0]


@pytest.fixture
def nouns(make_assay, measurement):
    assay = make_assay()
    line = LineIntensity(line="Ce-LA1", element="Ce", kind=IntensityKind.NET, rate_per_s=12.5)
    return {
        "Assay": assay,
        "Calibration": xrfree.load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml")),
        "Composition": assay.composition,
        "LineIntensities": LineIntensities(specimen="P", lines={"Ce-LA1": line}),
        "Measurement": measurement,
        "NetAreas": assay.areas[0],
        "ReferenceMaterial": xrfree.load_certificates(shipped_path("certificates", "oreas-460.toml"))[0],
        "ReportedResults": ReportedResults(
            specimen="P", method="m", values={"La": ReportedValue(component="La", mass_fraction=None, text="< LOD")}
        ),
        "Spectrum": measurement.spectra["low"],
    }


@pytest.mark.parametrize("name", NOUNS)
def test_every_public_noun_shows_itself_and_hands_itself_over(nouns, name):
    noun = nouns[name]
    assert type(noun) is getattr(xrfree, name)
    shown = noun._repr_html_()
    drawn = name not in ("Composition", "LineIntensities", "ReferenceMaterial", "ReportedResults")
    assert (PNG in shown) == drawn
    assert ("<table" in shown) or drawn
    frame, other, arrays = noun.to_pandas(), noun.to_polars(), noun.to_xarray()
    assert list(frame.columns) == other.columns
    assert len(frame) == len(other) > 0
    assert arrays.sizes


def test_what_comes_from_outside_is_escaped(nouns):
    shown = nouns["Measurement"]._repr_html_()
    assert "&lt;b&gt;laterite&lt;/b&gt;" in shown
    assert "<b>laterite" not in shown


def test_tables_keep_every_digit_and_the_covariance(make_assay):
    assay = make_assay()
    assert assay.to_pandas()["mass_fraction"].tolist() == assay.mass_fraction.tolist()
    arrays = assay.to_xarray()
    assert arrays["covariance"].sel(component="La", other_component="La").item() == assay.covariance[0, 0]
    assert arrays["budget"].sel(contribution="counting").values.tolist() == assay.budget["counting"].tolist()


def test_a_missing_library_is_named_with_the_remedy(make_assay, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(XrfreeError, match=r"pandas is not installed\. Install it: pip install pandas"):
        make_assay().to_pandas()


def test_what_is_no_noun_is_refused():
    with pytest.raises(XrfreeError, match="nobody has said how a int looks"):
        notebook.card(3)


def test_nouns_do_not_know_how_they_look():
    """Importing and using nouns loads nothing that draws; only looking does."""
    code = (
        "import sys, xrfree; [getattr(xrfree, n) for n in xrfree.__all__ if n != 'plot'];"
        "seen = {'matplotlib', 'pandas', 'plotly', 'xrfree.report'} & set(sys.modules); assert not seen, seen"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("function", [plot.spectrum, plot.fit, plot.assay])
def test_figures_draw_into_given_axes(nouns, function):
    from matplotlib.figure import Figure

    noun = nouns[{plot.spectrum: "Spectrum", plot.fit: "NetAreas", plot.assay: "Assay"}[function]]
    mine = Figure()
    axes = mine.subplots() if function is plot.spectrum else tuple(mine.subplots(2, 1))
    assert function(noun, axes=axes) is mine
    assert all(a.has_data() for a in mine.axes)


def test_figures_are_as_wide_as_a_column_of_a_journal(nouns):
    assert plot.spectrum(nouns["Spectrum"], width_in=plot.SINGLE_COLUMN_IN).get_figwidth() == 3.5
    assert plot.assay(nouns["Assay"])._repr_png_().startswith(b"\x89PNG")


def test_names_stand_where_peaks_are_and_nowhere_else(measurement):
    from xrfree.report.plots import suggested_groups

    named = suggested_groups(measurement.spectra["low"])
    assert {"Fe K", "Ce L", "Ti K", "Rh L"} <= set(named)
    assert not {"U L", "Cu K", "Ni K"} & set(named)
    flat = np.full(measurement.spectra["low"].n_channels, 1000)
    assert suggested_groups(_with_counts(measurement.spectra["low"], flat)) == ()


def _with_counts(spectrum, counts):
    return replace(spectrum, counts=counts)


def test_interactive_view_has_scale_marks_and_components(nouns, region_fit):
    view = plot.interactive(region_fit)
    names = [trace.name for trace in view.data]
    assert {"measured", "fit", "background", "La L", "lines of La"} <= set(names)
    assert [button.label for button in view.layout.updatemenus[0].buttons] == ["log", "linear"]
    assert next(t for t in view.data if t.name == "lines of La").visible == "legendonly"
    page = view.to_html(include_plotlyjs=True)
    assert "https://cdn.plot.ly" not in page.split("</script>")[-1]
    assert plot.interactive(nouns["Spectrum"], elements=["Fe"]).data[-1].name == "lines of Fe"


def test_contributions_of_a_fit_are_drawn_by_element(region_fit):
    upper = plot.fit(region_fit, emphasised=("La", "Ce")).axes[0]
    labels = [line.get_label() for line in upper.lines]
    assert {"La", "Ce"} <= set(labels)
    assert "La L" in region_fit._repr_html_()
    assert region_fit.to_xarray()["lines"].dims == ("group", "channel_energy_kev")


def test_no_plotly_is_said_with_the_remedy(nouns, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(XrfreeError, match=r'pip install "xrfree\[jupyter\]"'):
        plot.interactive(nouns["Spectrum"])
    assert import_module("xrfree.plot") is plot
