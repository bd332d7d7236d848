"""Reader profiles: what is refused, and where in the document."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.errors import DocumentError, SpectrumFileError
from xrfree.readers import load_profile, read_measurement

Put = Callable[[str, str | bytes], Path]
SCHEMA = 'schema = "xrfree/profile/1"\n'


def test_a_profile_is_read_and_has_a_digest(put: Put) -> None:
    profile = load_profile(put("a.toml", SCHEMA + "live_time_s = 300\ncounts_column = 2\n"))
    assert (profile.live_time_s, profile.counts_column) == (300.0, 2)
    same = load_profile(put("b.toml", "# other order\ncounts_column = 2\nlive_time_s = 300.0\n" + SCHEMA))
    assert same.sha256() == profile.sha256()


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("", "schema", "Field required"),
        ('schema = "xrfree/profile/2"\n', "schema", "Input should be 'xrfree/profile/1'"),
        (SCHEMA + "live_time = 3\n", "live_time", "Extra inputs are not permitted"),
        (SCHEMA + "live_time_s = 0\n", "live_time_s", "Input should be greater than 0, got 0"),
        (SCHEMA + "live_time_s = nan\n", "live_time_s", "Input should be"),
        (SCHEMA + 'live_time_s = "300"\n', "live_time_s", "Input should be a valid number, got '300'"),
        (SCHEMA + "energy_gain_kev = 0.01\n", "", "energy_zero_kev and energy_gain_kev belong together"),
        (SCHEMA + 'replaces = ["live_time_s"]\n', "", "replaces names live_time_s, but"),
        (SCHEMA + 'replaces = ["counts"]\n', "replaces.0", "Input should be"),
        (SCHEMA + "live_time_s = \n", "", "not valid TOML"),
        (b"\xff\xfe", "byte 0", "not UTF-8"),
    ],
)
def test_refused(put: Put, text: str | bytes, place: str, found: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_profile(put("a.toml", text))
    assert caught.value.place == place
    assert caught.value.found.startswith(found)


def test_a_missing_profile_is_named(put: Put, tmp_path: Path) -> None:
    path = put("a.csv", "1\n2\n")
    with pytest.raises(DocumentError, match=r"none\.toml: cannot be read"):
        read_measurement(path, profile=tmp_path / "none.toml")


def test_columns_mean_nothing_in_other_formats(put: Put, samples: dict[str, tuple[str, bytes]]) -> None:
    profile = load_profile(put("a.toml", SCHEMA + "counts_column = 2\n"))
    with pytest.raises(SpectrumFileError, match="the format EMSA/MAS, but the profile sets counts_column"):
        read_measurement(put(*samples["emsa"]), profile=profile)
