"""From counts to net areas: response, background, likelihood, verdict."""

from xrfree.fit.block import BlockFit, fit_spectra
from xrfree.fit.inputs import FitSettings, Light, LineCluster, Prior, Templates
from xrfree.fit.interactive import InteractiveFit, InteractiveResult, interactive_fit
from xrfree.fit.region import RegionFit, fit_spectrum
from xrfree.fit.residual import UnmodelledLine, runs_probability, unmodelled_lines
from xrfree.fit.solve import JointPrior

__all__ = [
    "BlockFit",
    "FitSettings",
    "InteractiveFit",
    "InteractiveResult",
    "JointPrior",
    "Light",
    "LineCluster",
    "Prior",
    "RegionFit",
    "Templates",
    "UnmodelledLine",
    "fit_spectra",
    "fit_spectrum",
    "interactive_fit",
    "runs_probability",
    "unmodelled_lines",
]
