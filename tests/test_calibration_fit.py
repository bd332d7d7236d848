"""What standards may teach about line ratios."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from xrfree.calibration_fit import _ratio_prior
from xrfree.fit import Prior
from xrfree.fit.solve import JointPrior

KNOWN, FREED, UNKNOWN = "ratio:La L:L2-M4,5", "ratio:Ce L:L2-M4,5", "ratio:Nd L:L2-M4,5"


def test_what_an_instrument_knows_of_a_ratio_counts_unless_the_method_frees_it() -> None:
    sigma = {KNOWN: 0.02, FREED: 1.0, UNKNOWN: 0.02}
    model: Any = SimpleNamespace(
        names=("area:La L", *sigma),
        plan=SimpleNamespace(free=frozenset({FREED})),
        prior=lambda name: Prior(mean=0.0, sigma=sigma[name]),
    )
    instrument = JointPrior(
        names=(KNOWN, FREED), mean=np.array([0.01, 0.03]), covariance=np.array([[1e-6, 5e-7], [5e-7, 1e-6]])
    )
    prepared: Any = SimpleNamespace(method=SimpleNamespace(ratio_sigma=0.02), ratio_prior=instrument)
    fit: Any = SimpleNamespace(model=model)
    found = _ratio_prior([fit], prepared)
    assert found.names == (KNOWN, FREED, UNKNOWN)
    assert found.mean.tolist() == [0.01, 0.0, 0.0]
    assert found.covariance.tolist() == np.diag([1e-6, 1.0, 0.02**2]).tolist()
