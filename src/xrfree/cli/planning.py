"""`xrfree plan`: precision and detection limits of a measurement before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xrfree.cli import OK, console
from xrfree.cli.simulating import known_contents
from xrfree.documents._layers import layer_of_text
from xrfree.documents.instrument import load_instrument
from xrfree.documents.specimens import SpecimenEntry, load_specimens
from xrfree.errors import XrfreeError
from xrfree.instrument import Absorber, Instrument
from xrfree.planning import plan, with_choices
from xrfree.report.plans import condition_table, plan_table, write_plan_csv


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed; see `xrfree plan --help`."""

    instrument: Path
    specimens: Path
    specimen: str
    analytes: Sequence[str]
    time_s: float
    voltages_kv: Sequence[float] = ()
    filters: Sequence[str] = ()
    base: str = ""
    most_counts_per_s: float = float("inf")
    out: Path | None = None


def run(request: Request) -> int:
    """Predict every choice, recommend a split of the time, print both."""
    instrument = _choices(load_instrument(request.instrument), request)
    name, entry = _entry(load_specimens(request.specimens), request)
    console.compile_kernels()
    with console.waiting("planning"):
        found = plan(
            known_contents(request.specimens, name, entry).contents,
            entry.specimen,
            instrument,
            request.analytes,
            total_s=request.time_s,
            most_counts_per_s=request.most_counts_per_s,
        )
    console.say(f"{name}, {request.time_s:g} s in one condition:")
    console.show(condition_table(found))
    console.say()
    console.say("Recommended split, and what it gives (k = 1):")
    console.show(plan_table(found))
    if request.out is not None:
        write_plan_csv(request.out, found)
        console.say(f"Table: {request.out.resolve()}")
    return OK


def _choices(instrument: Instrument, request: Request) -> Instrument:
    """The instrument itself, or with the voltages and filters that were asked for."""
    if not (request.voltages_kv or request.filters):
        return instrument
    base = request.base or next(iter(instrument.conditions))
    if base not in instrument.conditions:
        raise XrfreeError(
            f"--base {base} is no condition of {instrument.name}; it has {', '.join(instrument.conditions)}"
        )
    own = instrument.conditions[base]
    filters: dict[str, tuple[Absorber, ...]] = {}
    for text in request.filters:
        filters[text] = () if text == "none" else tuple(map(layer_of_text, text.split("+")))
    voltages = request.voltages_kv or [own.tube.voltage_kv]
    return with_choices(instrument, base, voltages, filters or {"filter of " + base: own.filters})


def _entry(entries: dict[str, SpecimenEntry], request: Request) -> tuple[str, SpecimenEntry]:
    if request.specimen:
        if request.specimen not in entries:
            raise XrfreeError(
                f"{request.specimens.name} has no specimen {request.specimen}; it has {', '.join(entries)}"
            )
        return request.specimen, entries[request.specimen]
    if len(entries) > 1:
        raise XrfreeError(f"{request.specimens.name} has {len(entries)} specimens; choose one with --specimen")
    return next(iter(entries.items()))
