"""Line intensities of wavelength-dispersive spectrometers: what the noun refuses, and what it keeps."""

import math
import pickle

import pytest

from xrfree.errors import DomainError
from xrfree.intensities import CountedPosition, IntensityKind, LineIntensities, LineIntensity
from xrfree.spectrum import ExcitationCondition, SourceFile


def cerium(**said: object) -> LineIntensity:
    stated: dict[str, object] = {
        "line": "Ce-LA",
        "element": "Ce",
        "group": "Ce L",
        "kind": IntensityKind.GROSS,
        "rate_per_s": 400.0,
        "counting_time_s": 100.0,
    }
    return LineIntensity(**(stated | said))  # type: ignore[arg-type]


def test_counting_uncertainty_is_the_root_of_the_counts() -> None:
    position = CountedPosition(name="CeBG1", rate_per_s=25.0, counting_time_s=4.0)
    counts = 25.0 * 4.0
    assert position.rate_uncertainty_per_s == pytest.approx(math.sqrt(counts) / 4.0)
    assert CountedPosition(name="CeBG1", rate_per_s=25.0).rate_uncertainty_per_s is None


def test_a_net_intensity_may_be_negative_and_a_gross_one_not() -> None:
    assert cerium(kind=IntensityKind.NET, rate_per_s=-0.5).rate_per_s == -0.5
    with pytest.raises(DomainError, match=r"Ce-LA: the intensity is -0\.5 counts/s, expected a number >= 0"):
        cerium(rate_per_s=-0.5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"line": " "}, "needs the names of its line"),
        ({"rate_per_s": math.nan}, "the intensity is nan"),
        ({"counting_time_s": 0.0}, "the counting time is 0.0 s"),
        ({"two_theta_rad": 4.0}, "2-theta is 4.0 rad"),
        ({"group": "La L"}, "line group 'La L' is not one of the element Ce"),
    ],
)
def test_nonsense_is_refused(said: dict[str, object], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        cerium(**said)


def test_a_background_position_counts_or_is_refused() -> None:
    with pytest.raises(DomainError, match=r"bg: the rate is -1\.0 counts/s"):
        CountedPosition(name="bg", rate_per_s=-1.0)
    with pytest.raises(DomainError, match="needs a name"):
        CountedPosition(name="", rate_per_s=1.0)


def test_a_set_keeps_everything_and_travels() -> None:
    line = cerium(background=[CountedPosition(name="bg", rate_per_s=1.0)], flag="H")  # type: ignore[arg-type]
    made = LineIntensities(
        specimen="bead 3",
        lines={"Ce-LA": line},
        condition=ExcitationCondition(name="vacuum", anode="Rh"),
        metadata={"Operator": "x"},
        sources=(SourceFile(path="a.csv", sha256="0" * 64),),
    )
    for kept in (made, pickle.loads(pickle.dumps(made))):
        assert dict(kept.lines) == {"Ce-LA": line}
        assert kept.lines["Ce-LA"].background[0].name == "bg"
        assert kept.metadata["Operator"] == "x"
        assert kept.sources[0].path == "a.csv"
    with pytest.raises(TypeError):
        made.lines["x"] = line  # type: ignore[index]


def test_a_set_needs_a_specimen_and_lines_under_their_own_names() -> None:
    with pytest.raises(DomainError, match="name of their specimen"):
        LineIntensities(specimen="", lines={"Ce-LA": cerium()})
    with pytest.raises(DomainError, match="no line intensities"):
        LineIntensities(specimen="a", lines={})
    with pytest.raises(DomainError, match="listed under 'La'"):
        LineIntensities(specimen="a", lines={"La": cerium()})
