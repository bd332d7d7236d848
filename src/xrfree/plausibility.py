"""Notes on a spectrum that a person should know before trusting it: peaks, dead time, saturation, tube voltage.

Nothing here changes or refuses a spectrum; each note says what was found and what it was compared with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import absorption_edge_kev, emission_lines
from xrfree.spectrum import Spectrum

# Within so far of its place a peak is taken for the line that is looked for.
_SEARCH_KEV = {"Kα": 0.06, "Lα": 0.05}
# A scale that puts a line further away is worth a word: a tenth of the width of a peak, and as much again for the
# uneven bottom on which scattered lines stand.
_NOTABLE_KEV = 0.025
HIGHEST_DEAD_TIME = 0.5
_CEILINGS = (2**16 - 1, 2**24 - 1, 2**31 - 1, 2**32 - 1)
_WINDOW_KEV = 0.5
_LEAST_COUNTS = 1000


def plausibility_notes(spectrum: Spectrum) -> tuple[str, ...]:
    """What is remarkable about a spectrum, one sentence each; without remark, what was checked and found in order."""
    return (
        *_line_notes(spectrum),
        *_time_notes(spectrum),
        *saturation_notes(spectrum),
        *_voltage_notes(spectrum),
    )


def _line_notes(spectrum: Spectrum) -> list[str]:
    """Places of Fe Kα and of the anode's lines, which scatter into every spectrum."""
    wanted = [("Fe", "Kα", "K", ("L3", "L2"))]
    anode = spectrum.condition.anode
    if anode is not None and anode != "Fe":
        wanted += [(anode, "Kα", "K", ("L3", "L2")), (anode, "Lα", "L3", ("M5", "M4"))]
    notes = [note for line in wanted if (note := _line_note(spectrum, *line))]
    return notes or ["no peak of Fe Kα or of the anode stands out, so the energy scale is not confirmed by one"]


def _line_note(spectrum: Spectrum, element: str, name: str, shell: str, outer: tuple[str, ...]) -> str:
    voltage = spectrum.condition.tube_voltage_kv
    try:
        edge = absorption_edge_kev(element, shell)
        lines = [line for line in emission_lines(element, shell) if line.transition.split("-")[1] in outer]
    except ValueError:
        return ""  # an anode that is no element of the tables
    if not lines or (voltage is not None and voltage <= edge):
        return ""
    weight = sum(line.line_fraction for line in lines)
    expected = sum(line.line_fraction * line.energy_kev for line in lines) / weight
    found = _peak_kev(spectrum, expected, _SEARCH_KEV[name])
    if found is None:
        return ""
    apart = found - expected
    verdict = "as the energy scale says" if abs(apart) <= _NOTABLE_KEV else "check the energy scale"
    return f"{element} {name} at {found:.3f} keV, expected {expected:.3f} keV ({1000 * apart:+.0f} eV): {verdict}"


def _peak_kev(spectrum: Spectrum, expected_kev: float, search_kev: float) -> float | None:
    """Centroid of the upper half of a peak near an energy; None where no peak stands out."""
    centres = spectrum.centres_kev
    near = np.flatnonzero(np.abs(centres - expected_kev) <= search_kev)
    if near.size < 5 or near[0] < near.size or near[-1] + near.size >= centres.size:
        return None
    counts = spectrum.counts.astype(np.float64)
    smooth = np.convolve(counts, np.ones(3) / 3.0, mode="same")
    top = int(near[np.argmax(smooth[near])])
    if top in {int(near[0]), int(near[-1])}:
        return None
    reach = near.size
    base = 0.5 * (smooth[top - reach : top - reach // 2].mean() + smooth[top + reach // 2 : top + reach].mean())
    height = smooth[top] - base
    if height < 5.0 * np.sqrt(max(smooth[top], 1.0)) or height < 0.3 * smooth[top]:
        return None
    window = slice(top - reach // 2, top + reach // 2 + 1)
    weight = np.clip(smooth[window] - base - 0.5 * height, 0.0, None)
    return float(np.average(centres[window], weights=weight))


def _time_notes(spectrum: Spectrum) -> list[str]:
    if spectrum.dead_time_fraction == 0.0:
        return ["live time equals real time: either they are not told apart, or nothing was counted"]
    return []


def saturation_notes(spectrum: Spectrum) -> list[str]:
    """Signs that counts are missing: a long dead time, a channel that is full."""
    notes = []
    dead = spectrum.dead_time_fraction
    if dead > HIGHEST_DEAD_TIME:
        notes.append(f"the dead time is {100 * dead:.0f} %: pile-up, and the live time itself, are to be doubted")
    full = full_channel_note(int(spectrum.counts.max(initial=0)))
    return [*notes, full] if full else notes


def full_channel_note(highest: int) -> str:
    """What the highest counts of a channel say of the recorder; empty if nothing."""
    if highest in _CEILINGS:
        return f"the highest channel holds {highest} counts, just what a recorder of limited length can hold"
    return ""


def _voltage_notes(spectrum: Spectrum) -> list[str]:
    """Where the continuum ends, against the tube voltage."""
    voltage = spectrum.condition.tube_voltage_kv
    if voltage is None:
        return ["no tube voltage is stated"]
    last_kev = float(spectrum.centres_kev[-1])
    if last_kev < voltage:
        return [f"the spectrum ends at {last_kev:.1f} keV, below the tube voltage of {voltage:g} kV: no lines above"]
    end = _continuum_end_kev(spectrum)
    if end is None or spectrum.total_counts < _LEAST_COUNTS:
        return []
    if end < 0.7 * voltage:
        return [
            f"the continuum ends near {end:.0f} keV, far below the stated tube voltage of {voltage:g} kV: "
            "wrong metadata, a faulty high voltage, or a weak beam"
        ]
    above = int(spectrum.counts[spectrum.centres_kev > voltage + 1.0].sum())
    share = above / spectrum.total_counts
    if end > 1.1 * voltage + 1.0:
        return [
            f"counts go on to {end:.0f} keV, beyond the stated tube voltage of {voltage:g} kV "
            f"({100 * share:.2g} % of all): pile-up, or a wrong voltage in the file"
        ]
    return [f"the continuum ends near {end:.0f} keV, as a tube voltage of {voltage:g} kV allows"]


def _continuum_end_kev(spectrum: Spectrum) -> float | None:
    """Upper end of the highest window whose counts stand out from what lies above it."""
    width = max(1, round(_WINDOW_KEV / spectrum.energy_scale.gain_kev))
    n = spectrum.n_channels // width
    if n < 8:
        return None
    sums: NDArray[np.float64] = spectrum.counts[: n * width].reshape(n, width).sum(axis=1).astype(np.float64)
    ends = spectrum.energy_scale.energy_kev(width * np.arange(1, n + 1) - 0.5)
    for i in range(n - 2, -1, -1):
        above = sums[i + 1 :]
        floor = above.max(initial=0.0) if above.size < 4 else float(np.quantile(above, 0.75))
        if sums[i] > floor + 5.0 * np.sqrt(floor + 1.0) + 5.0:
            return float(ends[i])
    return None
