"""`xrfree simulate`: spectra of specimens of known composition, as the instrument would record them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xrfree.cli import OK, console
from xrfree.cli.converting import output_kind, write_measurements
from xrfree.documents.instrument import load_instrument
from xrfree.documents.specimens import SpecimenEntry, load_specimens
from xrfree.errors import XrfreeError
from xrfree.instrument import Instrument
from xrfree.simulation import at_rate, simulate
from xrfree.spectrum import Measurement

_CHANNELS = (512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed; see `xrfree simulate --help`."""

    instrument: Path
    specimens: Path
    out: Path
    time_s: float
    conditions: Sequence[str] = ()
    seed: int = 1
    to: str = ""
    rate_per_s: float = 0.0


def run(request: Request) -> int:
    """Simulate every specimen of the list under every condition."""
    instrument = load_instrument(request.instrument)
    entries = load_specimens(request.specimens)
    kind = output_kind(request.out, request.to)
    conditions = request.conditions or tuple(instrument.conditions)
    lengths = _lengths(instrument, conditions, one_length=kind == "hdf5")
    console.compile_kernels()
    with console.waiting("simulating"):
        measurements = [
            _measurement(name, known_contents(request.specimens, name, entry), instrument, lengths, request, number)
            for number, (name, entry) in enumerate(entries.items())
        ]
    write_measurements(request.out, kind, measurements)
    console.say(f"{len(measurements) * len(conditions)} spectra of {len(measurements)} specimens simulated")
    return OK


def known_contents(path: Path, name: str, entry: SpecimenEntry) -> SpecimenEntry:
    """The entry, if its composition is known."""
    if not entry.contents:
        raise XrfreeError(
            f"{path.name}: {name} has no composition. Fill the column formula, such as Fe2O3:0.8 SiO2:0.2, "
            "for the specimen as measured"
        )
    return entry


def channels(instrument: Instrument, condition: str) -> int:
    """The smallest usual number of channels that reaches the tube voltage; an error where none does."""
    stated = instrument.conditions[condition]
    needed = (stated.tube.voltage_kv - stated.energy_zero_kev) / stated.energy_gain_kev
    for n in _CHANNELS:
        if n >= needed:
            return n
    raise XrfreeError(
        f"condition {condition}: {stated.energy_gain_kev * 1e3:g} eV per channel would need {needed:.0f} channels to "
        f"reach {stated.tube.voltage_kv:g} keV; enlarge energy_gain_kev in the instrument document"
    )


def _lengths(instrument: Instrument, conditions: Sequence[str], *, one_length: bool) -> dict[str, int]:
    """Number of channels by condition; one_length : the largest for all, as a table of spectra needs."""
    unknown = [c for c in conditions if c not in instrument.conditions]
    if unknown:
        known = ", ".join(instrument.conditions)
        raise XrfreeError(f"instrument {instrument.name} has no condition '{unknown[0]}'; it has {known}")
    lengths = {condition: channels(instrument, condition) for condition in conditions}
    return dict.fromkeys(lengths, max(lengths.values())) if one_length else lengths


def _measurement(
    name: str, entry: SpecimenEntry, instrument: Instrument, lengths: Mapping[str, int], request: Request, number: int
) -> Measurement:
    unscaled = [c for c in lengths if c not in instrument.log_scale]
    if unscaled and not request.rate_per_s:
        raise XrfreeError(
            f"instrument {instrument.name} does not state the scale of {', '.join(unscaled)}, so its count rate is "
            "unknown. Calibrate it, or give --rate"
        )
    spectra = {}
    for place, (condition, n_channels) in enumerate(lengths.items()):
        whole = (entry.contents, entry.specimen)
        used = instrument
        if request.rate_per_s:
            used = at_rate(instrument, *whole, condition, request.rate_per_s, n_channels=n_channels)
        seed = 1_000_003 * request.seed + 101 * number + place
        spectra[condition] = simulate(
            *whole, used, condition, live_time_s=request.time_s, seed=seed, n_channels=n_channels
        )
    return Measurement(specimen=name, spectra=spectra)
