"""From what a file states, and what a profile adds, to a checked measurement.

Every reader ends here, so that all formats obey the same laws: no time, no scale and no name is invented,
what is said twice must agree, and counts are whole numbers below the ceiling of the recorder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError, SpectrumFileError, UncalibratedError
from xrfree.readers._header import HeaderItem, Stated, own_lines
from xrfree.readers._text import EXPORT_AGAIN
from xrfree.spectrum import MAX_CHANNELS, EnergyScale, ExcitationCondition, Measurement, Spectrum

if TYPE_CHECKING:
    from pathlib import Path

    from xrfree.readers._format import SpectrumBytes
    from xrfree.readers.profile import ReaderProfile

# Largest numbers of the words in which multichannel analysers and export programs keep one channel.
_CEILINGS_PAIRED = (2**16 - 1, 2**24 - 1)
_CEILINGS_SINGLE = (2**31 - 1, 2**32 - 1)
_MOST_COUNTS = 2.0**53
# No X-ray or gamma spectrometer records beyond this; a scale that goes further has the wrong unit.
_HIGHEST_ENERGY_KEV = 20_000.0
# A channel that is narrower than this share of its energy is lost when energies are added up.
_NARROWEST_CHANNEL = 1e-9
_SAME = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedScale:
    """An energy scale that a file states, and where."""

    zero_kev: float
    gain_kev: float
    quadratic_kev: float = 0.0
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one file says about one spectrum; None where it says nothing.

    counts : shape (n_channels,), as read, not yet checked.
    place_of : where channel i stands in the file, for messages.
    no_scale : why there is no energy scale, for the message.
    condition : name that the file gives; None: named after voltage, filter, current and atmosphere.
    label : what tells it from another spectrum of the file where all of these are the same, e.g. "phase 2".
    """

    counts: NDArray[np.float64]
    place_of: Callable[[int], str]
    live_time_s: Stated | None = None
    real_time_s: Stated | None = None
    scale: StatedScale | None = None
    no_scale: str = "no energy scale is stated"
    specimen: str | None = None
    condition: str | None = None
    label: str = ""
    anode: str | None = None
    tube_voltage_kv: Stated | None = None
    tube_current_ua: Stated | None = None
    filter: str | None = None
    atmosphere: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def with_own_condition(said: Statement, items: Iterable[HeaderItem]) -> Statement:
    """A statement with specimen and condition as our own writers have put them beside the format's keys."""
    own = own_lines(items).condition

    def text(key: str, stated: str | None) -> str | None:
        value = own.get(key)
        return value if isinstance(value, str) else stated

    def number(key: str, stated: Stated | None) -> Stated | None:
        value = own.get(key)
        return stated if value is None or isinstance(value, str) else Stated(float(value), key, "XRFREE.CONDITION")

    return replace(
        said,
        specimen=text("specimen", said.specimen),
        condition=text("condition", said.condition),
        anode=text("anode", said.anode),
        tube_voltage_kv=number("tube_voltage_kv", said.tube_voltage_kv),
        tube_current_ua=number("tube_current_ua", said.tube_current_ua),
        filter=text("filter", said.filter),
        atmosphere=text("atmosphere", said.atmosphere),
    )


def assemble(file: SpectrumBytes, statements: Iterable[Statement], profile: ReaderProfile | None) -> Measurement:
    """The measurement that a file and a profile state together: all statements are about one specimen."""
    said = list(statements)
    spectra: dict[str, Spectrum] = {}
    for statement, name in zip(said, _condition_names(file.path, said), strict=True):
        spectrum = _spectrum(file.path, statement, name, profile)
        if spectrum.condition.name in spectra:
            raise SpectrumFileError(
                file.path,
                found=f"two spectra have the same condition {spectrum.condition.name!r}",
                remedy="Give each spectrum its own condition, or put them into separate files",
            )
        spectra[spectrum.condition.name] = spectrum
    given = None if profile is None else profile.specimen
    specimen = _name(file.path, "specimen", said[0].specimen, given, profile) or file.path.stem
    return Measurement(specimen=specimen, spectra=spectra, sources=(file.source,))


def _condition_names(path: Path, said: Sequence[Statement]) -> list[str]:
    """Names for the conditions of a file, in its order.

    A file names a condition, or else voltage and filter do; where that is not enough to tell its spectra apart,
    the current is added, then the atmosphere, then what the file calls them.
    """
    names = [statement.condition or _short_name(path, statement, 0) for statement in said]
    for detail in (1, 2, 3):
        often = Counter(names)
        names = [
            _short_name(path, statement, detail) if often[name] > 1 and not statement.condition else name
            for name, statement in zip(names, said, strict=True)
        ]
    return names


def _short_name(path: Path, said: Statement, detail: int) -> str:
    voltage = _positive(path, said.tube_voltage_kv, "kV")
    current = _positive(path, said.tube_current_ua, "µA")
    parts = [] if voltage is None and not said.filter else [condition_name(voltage, _filter(said.filter))]
    if detail >= 1 and current is not None:
        parts.append(f"{round(current, 1):g} µA")
    if detail >= 2 and said.atmosphere:
        parts.append(said.atmosphere)
    if detail >= 3 and said.label:
        parts.append(said.label)
    return " ".join(parts) or "spectrum"


def _spectrum(path: Path, said: Statement, condition: str, profile: ReaderProfile | None) -> Spectrum:
    _refuse_size(path, said.counts.size)
    scale = _scale(path, said, profile)
    said, note = _without_discarded(said, scale, profile)
    counts = _checked_counts(path, said)
    live_time_s = _live_time(path, said, profile)
    real_time_s, time_note = _real_time(path, said, profile, live_time_s)
    try:
        return Spectrum(
            counts=counts,
            live_time_s=live_time_s,
            real_time_s=real_time_s,
            energy_scale=scale,
            condition=_condition(path, said, condition, profile),
            metadata={**said.metadata, **note, **time_note, **_profile_note(profile)},
        )
    except DomainError as error:
        raise SpectrumFileError(path, found=str(error), remedy=EXPORT_AGAIN) from error


def _profile_note(profile: ReaderProfile | None) -> dict[str, str]:
    return {} if profile is None else {"xrfree.profile_sha256": profile.sha256()}


def _without_discarded(
    said: Statement, scale: EnergyScale, profile: ReaderProfile | None
) -> tuple[Statement, dict[str, str]]:
    """Channels that the profile declares not to be data hold zero; the note says how many, and their sum."""
    if profile is None or profile.discard_below_kev is None:
        return said, {}
    below = scale.centres_kev(said.counts.size) < profile.discard_below_kev
    text = (
        f"{int(below.sum())} channels below {profile.discard_below_kev:g} keV set to zero; "
        f"they held {said.counts[below].sum():.12g} counts"
    )
    return replace(said, counts=np.where(below, 0.0, said.counts)), {"xrfree.discard_below_kev": text}


def _refuse_size(path: Path, n_channels: int) -> None:
    if not 0 < n_channels <= MAX_CHANNELS:
        raise SpectrumFileError(
            path,
            found=f"{n_channels} channels, expected 1 to {MAX_CHANNELS}",
            remedy=f"{EXPORT_AGAIN}; one spectrum per file",
        )


def _checked_counts(path: Path, said: Statement) -> NDArray[np.int64]:
    values = said.counts
    whole = values.astype(np.int64) if values.min() >= 0 and values.max() <= _MOST_COUNTS else None
    if whole is None or not np.array_equal(whole, values):
        raise _bad_count(path, said)
    _refuse_saturated(path, said, whole)
    return whole


def _bad_count(path: Path, said: Statement) -> SpectrumFileError:
    values = said.counts
    good = (values >= 0) & (values <= _MOST_COUNTS) & (values == np.rint(values))
    channel = int(np.flatnonzero(~good)[0])
    remedy = "Export raw counts: no rates, nothing smoothed, nothing subtracted"
    if values[channel] < 0:
        remedy += "; where the maker subtracts something at the zero peak, set discard_below_kev in a profile"
    return SpectrumFileError(
        path,
        place=said.place_of(channel),
        found=f"channel {channel} holds {values[channel]:.12g} counts, expected a whole number, zero or more",
        remedy=remedy,
    )


def _refuse_saturated(path: Path, said: Statement, counts: NDArray[np.int64]) -> None:
    top = int(counts.max())
    if top not in _CEILINGS_PAIRED and top not in _CEILINGS_SINGLE:
        return
    full = counts == top
    if top in _CEILINGS_PAIRED:
        full = full[1:] & full[:-1]
    if full.any():
        channel = int(np.flatnonzero(full)[0])
        raise SpectrumFileError(
            path,
            place=said.place_of(channel),
            found=f"channel {channel} is saturated: it holds {top} counts, the most its recorder can hold",
            remedy="Measure again for a shorter time or with less current",
        )


def _missing_keys(said: Statement, profile: ReaderProfile | None) -> str:
    keys = []
    if said.scale is None and (profile is None or profile.energy_gain_kev is None):
        keys += [
            "energy_zero_kev = ... (energy of the first channel)",
            "energy_gain_kev = ... (keV per channel)",
        ]
    if said.live_time_s is None and (profile is None or profile.live_time_s is None):
        keys += ["live_time_s = ... (seconds)"]
    return f'Read it with a profile, a TOML file with schema = "xrfree/profile/1" and {" and ".join(keys)}'


def _scale(path: Path, said: Statement, profile: ReaderProfile | None) -> EnergyScale:
    given = _profile_scale(profile)
    scale = said.scale
    if scale is None or (given is not None and _replaced("energy_scale", profile)):
        scale = given
    if scale is None:
        raise UncalibratedError(path, found=said.no_scale, remedy=_missing_keys(said, profile))
    if given is not None and scale is not given:
        _refuse_other_scale(path, scale, given, said.counts.size)
    _refuse_impossible_scale(path, scale, said.counts.size)
    return EnergyScale(zero_kev=scale.zero_kev, gain_kev=scale.gain_kev, quadratic_kev=scale.quadratic_kev)


def _profile_scale(profile: ReaderProfile | None) -> StatedScale | None:
    if profile is None or profile.energy_zero_kev is None or profile.energy_gain_kev is None:
        return None
    return StatedScale(
        zero_kev=profile.energy_zero_kev,
        gain_kev=profile.energy_gain_kev,
        quadratic_kev=profile.energy_quadratic_kev or 0.0,
        place="(energy scale of the profile)",
    )


def _refuse_other_scale(path: Path, stated: StatedScale, given: StatedScale, n_channels: int) -> None:
    i = np.array([0.0, n_channels - 1.0])
    apart = np.abs(
        (stated.zero_kev - given.zero_kev)
        + (stated.gain_kev - given.gain_kev) * i
        + (stated.quadratic_kev - given.quadratic_kev) * i * i
    )
    if apart.max() > 0.01 * abs(given.gain_kev):
        raise SpectrumFileError(
            path,
            place=stated.place,
            found=f"the energy scale starts at {stated.zero_kev:g} keV with {stated.gain_kev:g} keV "
            "per channel, "
            f"but the profile says {given.zero_kev:g} keV and {given.gain_kev:g} keV",
            remedy='Correct the profile; if the file is wrong, add replaces = ["energy_scale"] to it',
        )


def _refuse_impossible_scale(path: Path, scale: StatedScale, n_channels: int) -> None:
    last = n_channels - 1.0
    slope_at_end = scale.gain_kev + 2.0 * scale.quadratic_kev * last
    top = scale.zero_kev + scale.gain_kev * last + scale.quadratic_kev * last * last
    rises = min(scale.gain_kev, slope_at_end) > _NARROWEST_CHANNEL * max(abs(scale.zero_kev), abs(top))
    if rises and scale.zero_kev > -_HIGHEST_ENERGY_KEV and 0 < top < _HIGHEST_ENERGY_KEV:
        return
    raise UncalibratedError(
        path,
        place=scale.place,
        found=f"an energy scale from {scale.zero_kev:g} to {top:g} keV with {scale.gain_kev:g} keV "
        "per channel is not "
        "a usable one",
        remedy="Calibrate the spectrum, or give the scale in a profile (energy_zero_kev, "
        "energy_gain_kev, and "
        'replaces = ["energy_scale"])',
    )


def _replaced(key: str, profile: ReaderProfile | None) -> bool:
    return profile is not None and key in profile.replaces


def _time(
    path: Path, key: str, stated: Stated | None, given: float | None, profile: ReaderProfile | None
) -> Stated | None:
    """One time out of file and profile; where both speak they must agree."""
    if given is not None and (stated is None or _replaced(key, profile)):
        return Stated(given, key, "(profile)")
    if stated is None:
        return None
    if stated.value <= 0:
        raise SpectrumFileError(
            path,
            place=stated.place,
            found=f"{stated.key} is {stated.value:g} s, expected seconds > 0",
            remedy=f'{EXPORT_AGAIN}, or give {key} = ... and replaces = ["{key}"] in a profile',
        )
    if given is not None and abs(stated.value - given) > _SAME * given:
        raise SpectrumFileError(
            path,
            place=stated.place,
            found=f"{stated.key} is {stated.value:g} s, but the profile says {given:g} s",
            remedy=f'Correct the profile; if the file is wrong, add replaces = ["{key}"] to it',
        )
    return stated


def _live_time(path: Path, said: Statement, profile: ReaderProfile | None) -> float:
    given = None if profile is None else profile.live_time_s
    live = _time(path, "live_time_s", said.live_time_s, given, profile)
    if live is None:
        raise SpectrumFileError(path, found="no live time is stated", remedy=_missing_keys(said, profile))
    return live.value


def _real_time(
    path: Path, said: Statement, profile: ReaderProfile | None, live_time_s: float
) -> tuple[float, dict[str, str]]:
    """Real time, and the note that is due when nobody states it."""
    given = None if profile is None else profile.real_time_s
    real = _time(path, "real_time_s", said.real_time_s, given, profile)
    if real is None:
        return live_time_s, {"xrfree.real_time_s": "not stated; taken equal to the live time"}
    if real.value < live_time_s * 0.999:
        raise SpectrumFileError(
            path,
            place=real.place,
            found=f"{real.key} is {real.value:g} s, shorter than the live time of {live_time_s:g} s",
            remedy="One of them is wrong: export the spectrum again, or give the right one in a profile with "
            'replaces = ["real_time_s"] or replaces = ["live_time_s"]',
        )
    return real.value, {}


def _name(path: Path, key: str, stated: str | None, given: str | None, profile: ReaderProfile | None) -> str | None:
    """One name out of file and profile; where both speak they must agree."""
    stated = " ".join(stated.split()) if stated else None
    if given is None or (stated and stated == given):
        return stated or None
    if stated and not _replaced(key, profile):
        raise SpectrumFileError(
            path,
            found=f"the file names the {key} {stated!r}, but the profile {given!r}",
            remedy=f'Correct the profile; if the file is wrong, add replaces = ["{key}"] to it',
        )
    return given


def _condition(path: Path, said: Statement, derived: str, profile: ReaderProfile | None) -> ExcitationCondition:
    given = None if profile is None else profile.condition
    filter_name = _filter(said.filter)
    voltage = _positive(path, said.tube_voltage_kv, "kV")
    return ExcitationCondition(
        name=_name(path, "condition", said.condition, given, profile) or derived,
        anode=said.anode or None,
        tube_voltage_kv=voltage,
        tube_current_ua=_positive(path, said.tube_current_ua, "µA"),
        filter=filter_name,
        atmosphere=said.atmosphere or None,
    )


def condition_name(tube_voltage_kv: float | None, filter_name: str | None) -> str:
    """Name of a condition that has none: "50 kV Ag 100", "10 kV none", "spectrum"; to 0.1 kV."""
    parts = [] if tube_voltage_kv is None else [f"{round(tube_voltage_kv, 1):g} kV"]
    if filter_name:
        parts.append(filter_name)
    return " ".join(parts) or "spectrum"


def _filter(text: str | None) -> str | None:
    if not text:
        return None
    return "none" if text.lower() in {"none", "empty", "no filter"} else text


def _positive(path: Path, stated: Stated | None, unit: str) -> float | None:
    if stated is not None and stated.value <= 0:
        raise SpectrumFileError(
            path,
            place=stated.place,
            found=f"{stated.key} is {stated.value:g}, expected {unit} > 0",
            remedy=f"{EXPORT_AGAIN}, or repair the line",
        )
    return None if stated is None else stated.value


def straight_scale(path: Path, energies_kev: NDArray[np.float64], *, tolerance_kev: float, place: str) -> StatedScale:
    """The straight line through the energies of all channels; an error if they do not lie on one.

    tolerance_kev : how far an energy may lie from the line, e.g. one unit of its last printed digit.
    """
    if energies_kev.size < 2:
        raise UncalibratedError(path, place=place, found="one channel makes no energy scale", remedy=EXPORT_AGAIN)
    channel = np.arange(energies_kev.size, dtype=np.float64)
    centred = channel - channel.mean()
    with np.errstate(all="ignore"):
        gain = float(centred @ energies_kev / (centred @ centred))
        zero = float(energies_kev.mean() - gain * channel.mean())
        apart = np.abs(energies_kev - (zero + gain * channel))
    if not gain > 0 or not apart.max() <= tolerance_kev:
        worst = int(np.argmax(apart))
        raise UncalibratedError(
            path,
            place=place,
            found=f"the energies do not rise in equal steps: channel {worst} lies {apart[worst]:.3g} "
            "keV beside the line",
            remedy="Export the spectrum with a linear energy scale, all channels, in order",
        )
    return StatedScale(zero_kev=zero, gain_kev=gain, place=place)


def refuse_length(path: Path, *, place: str, found: int, stated: int, key: str) -> None:
    """Refuse a file that holds another number of channels than it says."""
    if found != stated:
        what = "cut off" if found < stated else "longer than it says"
        raise SpectrumFileError(
            path,
            place=place,
            found=f"{key} is {stated}, but {found} counts follow: the file is {what}",
            remedy=f"Copy the file again, or {EXPORT_AGAIN.lower()}",
        )
