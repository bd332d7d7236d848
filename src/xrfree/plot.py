"""Figures for notebooks and papers, in the style of the house and in colours that colour-blind eyes tell apart.

Every function returns a matplotlib figure, which a notebook shows and `savefig` writes. Most draw into axes of yours
when they are given some: make these inside `with plot.style():`. Widths are inches, `SINGLE_COLUMN_IN` (89 mm) and
`DOUBLE_COLUMN_IN` (183 mm) those of journals.

    spectrum        counts, with the names of lines              Spectrum
    spectra         several, one below the other                 those of a Measurement
    fit             counts, fit, contributions, residuals        NetAreas, RegionFit
    calibration     found against certified, per line group      Calibration
    curve           one curve, questioned                        CurveReview of `xrfree.curves.review`
    assay           contents, limits, budget                     Assay
    budget          shares of the variance                       contributions of `xrfree.report.budget`
    control_chart   points, limits, alarms                       Chart of `xrfree.quality.charts`
    interactive     plotly: zoom, log scale, components          Spectrum, NetAreas, RegionFit
"""

from xrfree.report.calibration_plots import curve_figure as curve
from xrfree.report.charts import budget_figure as budget
from xrfree.report.charts import control_chart_figure as control_chart
from xrfree.report.interactive import interactive_figure as interactive
from xrfree.report.plots import DOUBLE_COLUMN_IN, SINGLE_COLUMN_IN
from xrfree.report.plots import fit_figure as fit
from xrfree.report.plots import house_style as style
from xrfree.report.plots import spectra_figure as spectra
from xrfree.report.plots import spectrum_figure as spectrum
from xrfree.report.result_plots import assay_figure as assay
from xrfree.report.result_plots import calibration_figure as calibration

__all__ = [
    "DOUBLE_COLUMN_IN",
    "SINGLE_COLUMN_IN",
    "assay",
    "budget",
    "calibration",
    "control_chart",
    "curve",
    "fit",
    "interactive",
    "spectra",
    "spectrum",
    "style",
]
