"""Reported results: a content that was not detected is no number."""

import pickle

import pytest

from xrfree.errors import DomainError
from xrfree.reported import ReportedResults, ReportedValue


def test_not_detected_is_censored_and_not_zero() -> None:
    value = ReportedValue(component="La", mass_fraction=None, detection_limit=5.7e-5, text="< LOD")
    assert value.is_censored
    assert not ReportedValue(component="La", mass_fraction=-1e-6).is_censored


@pytest.mark.parametrize(
    "said",
    [
        {"component": " ", "mass_fraction": 0.1},
        {"component": "La", "mass_fraction": float("nan")},
        {"component": "La", "mass_fraction": 0.1, "standard_uncertainty": 0.0},
        {"component": "La", "mass_fraction": None, "detection_limit": -1e-6},
    ],
)
def test_nonsense_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(DomainError):
        ReportedValue(**said)  # type: ignore[arg-type]


def test_results_travel_and_keep_their_names() -> None:
    value = ReportedValue(component="La", mass_fraction=1e-4)
    made = ReportedResults(specimen="17", method="Niton Mining", values={"La": value}, metadata={"Type": "Mining"})
    again = pickle.loads(pickle.dumps(made))
    assert (dict(again.values), again.method) == ({"La": value}, "Niton Mining")
    with pytest.raises(DomainError, match="listed under 'Ce'"):
        ReportedResults(specimen="17", method="", values={"Ce": value})
    with pytest.raises(DomainError, match="name of their specimen"):
        ReportedResults(specimen=" ", method="", values={})
