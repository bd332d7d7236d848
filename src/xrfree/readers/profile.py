"""Reader profiles: a small TOML document that says what a spectrum file does not.

schema = "xrfree/profile/1"
counts_column = "Pulses"
live_time_s = 300.0
energy_zero_kev = 0.0
energy_gain_kev = 0.01
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xrfree.errors import DocumentError

Column = Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"\S")]
Replaceable = Literal["live_time_s", "real_time_s", "energy_scale", "specimen", "condition"]

_LAYOUT_KEYS = (
    "counts_column",
    "energy_column",
    "channel_column",
    "energy_unit",
    "skip_lines",
    "separator",
    "decimal",
)


class ReaderProfile(BaseModel):
    """What a spectrum file does not say, or what sniffing cannot know.

    counts_column, energy_column, channel_column : name, or number counted from 1, of a column.
    energy_unit : unit of the energy column where its name does not say it.
    skip_lines : lines at the top that are not looked at.
    separator, decimal : of the numbers, where they are ambiguous.
    dataset : path of the spectra in an HDF5 file of others, e.g. "/entry/xrf/counts"; channels on the last axis.
    energy_zero_kev : energy of the first channel of the file; energy_gain_kev : keV per channel.
    discard_below_kev : channels below this energy are not data (zero peak, what a maker subtracts there) and
        are set to zero.
    replaces : statements of the file that are known to be wrong; the profile's value is used instead.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    schema_name: Literal["xrfree/profile/1"] = Field(alias="schema")
    counts_column: Column | None = None
    energy_column: Column | None = None
    channel_column: Column | None = None
    energy_unit: Literal["keV", "eV"] | None = None
    skip_lines: Annotated[int, Field(ge=0)] | None = None
    separator: Literal["comma", "semicolon", "tab", "whitespace"] | None = None
    decimal: Literal["point", "comma"] | None = None
    dataset: Name | None = None
    live_time_s: Seconds | None = None
    real_time_s: Seconds | None = None
    energy_zero_kev: Finite | None = None
    energy_gain_kev: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    energy_quadratic_kev: Finite | None = None
    specimen: Name | None = None
    condition: Name | None = None
    discard_below_kev: Finite | None = None
    replaces: Annotated[tuple[Replaceable, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _complete(self) -> ReaderProfile:
        if (self.energy_zero_kev is None) != (self.energy_gain_kev is None):
            raise ValueError("energy_zero_kev and energy_gain_kev belong together; give both")
        if self.energy_quadratic_kev is not None and self.energy_gain_kev is None:
            raise ValueError("energy_quadratic_kev needs energy_zero_kev and energy_gain_kev")
        if self.separator == "comma" and self.decimal == "comma":
            raise ValueError("separator and decimal cannot both be the comma")
        for key in self.replaces:
            if getattr(self, "energy_gain_kev" if key == "energy_scale" else key) is None:
                raise ValueError(f"replaces names {key}, but the profile gives no value for it")
        return self

    def layout_keys(self) -> tuple[str, ...]:
        """The keys in use that describe the columns of delimited text."""
        return tuple(key for key in _LAYOUT_KEYS if getattr(self, key) is not None)

    def sha256(self) -> str:
        """Digest of the canonical content: two profiles that say the same have the same one."""
        said = self.model_dump(exclude_none=True, exclude_defaults=True, by_alias=True, mode="json")
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def load_profile(path: Path | str) -> ReaderProfile:
    """Read and check a profile; DocumentError names the key that is wrong."""
    path = Path(path)
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise DocumentError(
            path, found=f"cannot be read ({error.strerror or error})", remedy="Check the name of the profile"
        ) from error
    except UnicodeDecodeError as error:
        raise DocumentError(
            path, place=f"byte {error.start}", found="not UTF-8 text", remedy="Save the profile as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(path, found=f"not valid TOML: {error}", remedy="Repair the line") from error
    try:
        return ReaderProfile.model_validate(document)
    except ValidationError as error:
        raise _document_error(path, error) from error


def _document_error(path: Path, error: ValidationError) -> DocumentError:
    first, *others = error.errors(include_url=False)
    keys = [str(key) for key in first["loc"] if not str(key).startswith(("constrained-", "function-"))]
    found = first["msg"].removeprefix("Value error, ")
    if first["type"] not in {"missing", "value_error"}:
        found += f", got {first['input']!r}"
    if others:
        found += f" (and {len(others)} more)"
    known = ", ".join(field.alias or name for name, field in ReaderProfile.model_fields.items())
    return DocumentError(path, place=".".join(keys), found=found, remedy=f"The keys of a profile are {known}")
