"""2-theta scans as text: `# key: value` lines, names of columns, and a row per angle.

Columns: `two_theta_deg`, and `counts` (with `counting_time_s` as a column or in the header), `rate_per_s` or
`rate_kcps`.
Header keys that are understood: `specimen`, `counting_time_s`, `crystal_2d_angstrom`; all are kept.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError, SpectrumFileError
from xrfree.intensities import TwoThetaScan
from xrfree.readers._format import SpectrumBytes
from xrfree.readers._header import HeaderItem, metadata_of, single, stated_number
from xrfree.readers._table import bad_line
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, head_text, listed

_ANGLE = "two_theta_deg"
_RATES = {"counts": 0.0, "rate_per_s": 1.0, "rate_cps": 1.0, "rate_kcps": 1000.0}
_CM_PER_ANGSTROM = 1e-8


def recognises(head: bytes) -> bool:
    """Whether the first line that is no comment names the angle."""
    text = head_text(head)
    if _ANGLE not in text.lower():
        return False
    lines = (line for line in text.split("\n") if line.strip() and not line.startswith("#"))
    return _ANGLE in _names(next(lines, ""))


def _names(line: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in re.split(r"[,;\t]", line)]


def read(file: SpectrumBytes) -> TwoThetaScan:
    """The scan in a file."""
    items, names, block, separator = _split(file)
    table = block.table(separator, range(len(names)), len(names))
    columns = dict(zip(names, table.T, strict=True))
    stated = stated_number(file.path, _item(file, items, "counting_time_s"), expected="seconds > 0")
    times = columns.get("counting_time_s")
    if times is None and stated is not None:
        times = np.full(len(table), stated.value)
    crystal = stated_number(file.path, _item(file, items, "crystal_2d_angstrom"), expected="Å > 0")
    specimen = _item(file, items, "specimen")
    try:
        return TwoThetaScan(
            specimen=specimen.value if specimen is not None and specimen.value else file.path.stem,
            two_theta_rad=np.deg2rad(columns[_ANGLE]),
            rate_per_s=_rates(file, columns, times, block.first_line),
            counting_time_s=times,
            crystal_2d_cm=None if crystal is None else crystal.value * _CM_PER_ANGSTROM,
            metadata=metadata_of(items),
            sources=(file.source,),
        )
    except DomainError as error:
        raise SpectrumFileError(file.path, found=str(error), remedy=EXPORT_AGAIN) from error


def _item(file: SpectrumBytes, items: list[HeaderItem], key: str) -> HeaderItem | None:
    return single(file.path, [item for item in items if item.key.lower() == key])


def _split(file: SpectrumBytes) -> tuple[list[HeaderItem], list[str], NumberBlock, str]:
    items = []
    lines = decode(file.path, file.content).split("\n")
    for line_number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("#"):
            key, _, value = text.lstrip("# ").partition(":")
            items.append(HeaderItem(key.strip(), value.strip(), line_number))
        elif text:
            names = _names(text)
            separator = next((mark for mark in ("\t", ";", ",") if mark in text), ",")
            if _ANGLE not in names or len(set(names)) != len(names):
                raise bad_line(file.path, line_number, f"the columns are {listed(names)}, expected {_ANGLE} once")
            rest = "\n".join(lines[line_number:])
            return items, names, NumberBlock(path=file.path, text=rest, first_line=line_number + 1), separator
    raise bad_line(file.path, len(lines), f"there is no line that names the columns ({_ANGLE}, counts ...)")


def _rates(
    file: SpectrumBytes, columns: dict[str, NDArray[np.float64]], times: NDArray[np.float64] | None, line: int
) -> NDArray[np.float64]:
    """Rates out of the one column that holds them; counts need a time."""
    found = [name for name in _RATES if name in columns]
    if len(found) != 1:
        raise bad_line(file.path, line - 1, f"{len(found)} columns of rates, expected one of {', '.join(_RATES)}")
    (name,) = found
    if name != "counts":
        return columns[name] * _RATES[name]
    if times is None or not (times > 0).all():
        raise bad_line(file.path, line - 1, "counts without a counting time > 0 (counting_time_s)")
    return np.asarray(columns[name] / times)
