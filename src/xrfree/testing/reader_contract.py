"""What a spectrum format of another package has to satisfy, as one function for its tests.

    from xrfree.testing import reader_contract

    @pytest.mark.parametrize("sample", SAMPLES)
    def test_contract(sample):
        reader_contract(my_package.FORMAT, sample)

A format is offered in the entry-point group `xrfree.readers`:

    [project.entry-points."xrfree.readers"]
    my_format = "my_package:FORMAT"
"""

from __future__ import annotations

import hashlib
import pickle
import random
import time
from collections.abc import Iterable
from pathlib import Path

from xrfree.errors import XrfreeError
from xrfree.readers import SpectrumBytes, SpectrumFormat
from xrfree.readers._format import HEAD_BYTES
from xrfree.spectrum import Measurement, Spectrum
from xrfree.testing.mutations import mutated

LONGEST_S = 1.0
# The starts of files that a format of another package must leave to their own readers.
_FOREIGN_HEADS = (
    b"",
    b"\0" * 512,
    b"#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n",
    b"<<PMCA SPECTRUM>>\nTAG - live_data\n",
    b"$SPEC_ID:\nore\n",
    b"\x89HDF\r\n\x1a\n" + b"\0" * 500,
    bytes.fromhex("19000e000000700064007a003200350001000000"),
    b"channel,counts\n0,1\n1,2\n",
)


class ContractError(AssertionError):
    """A promise that a spectrum format does not keep."""


def reader_contract(spectrum_format: SpectrumFormat, sample: Path | str, *, mutations: int = 300) -> None:
    """Check a format on one of its files; ContractError names the first promise that is broken.

    1. It recognises its file, and no start of a file of another known format.
    2. It returns measurements that say where they come from: path and SHA-256 of the file.
    3. Metadata are texts, there are some, and the same file read twice says the same.
    4. What it returns travels between processes (pickle).
    5. A damaged file is read or refused with an error of xrfree in one line that begins with the file's name, within
       a second; a file that is cut off never yields other counts than the whole one.
    6. It writes nothing beside the file.

    Parameters
    ----------
    spectrum_format : the format.
    sample : a file of it.
    mutations : how many damaged copies are tried.
    """
    path = Path(sample)
    content = path.read_bytes()
    before = _listing(path.parent)
    _check_recognition(spectrum_format, content)
    found = _check_reading(spectrum_format, path, content)
    _check_damage(spectrum_format, path, content, found, mutations)
    after = _listing(path.parent)
    _promise(before == after, f"reading changes the folder of the file: {sorted(after - before)}")


def _promise(kept: bool, broken: str) -> None:
    if not kept:
        raise ContractError(broken)


def _listing(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _file(path: Path, content: bytes) -> SpectrumBytes:
    return SpectrumBytes(path=path, content=content, sha256=hashlib.sha256(content).hexdigest())


def _check_recognition(spectrum_format: SpectrumFormat, content: bytes) -> None:
    known = spectrum_format.recognises(content[:HEAD_BYTES])
    _promise(known is True, f"recognises() says {known!r} of the start of its own file, expected True")
    for head in _FOREIGN_HEADS:
        known = spectrum_format.recognises(head)
        _promise(known is False, f"recognises() says {known!r} of {head[:24]!r}, which belongs to another format")


def _check_reading(spectrum_format: SpectrumFormat, path: Path, content: bytes) -> tuple[Measurement, ...]:
    file = _file(path, content)
    found = tuple(spectrum_format.measurements(file, None))
    _promise(bool(found), "the sample holds no measurement")
    for measurement in found:
        _promise(isinstance(measurement, Measurement), f"returns a {type(measurement).__name__}, not a Measurement")
        _promise(
            file.source in measurement.sources, f"{measurement.specimen}: path and SHA-256 are not among its sources"
        )
        for name, spectrum in measurement.spectra.items():
            _promise(
                name == spectrum.condition.name, f"the condition {spectrum.condition.name!r} is listed as {name!r}"
            )
            _check_metadata(measurement.specimen, spectrum)
    again = tuple(spectrum_format.measurements(file, None))
    _promise(_facts(found) == _facts(again), "the same file read twice says two things")
    travelled = pickle.loads(pickle.dumps(found))
    _promise(_facts(found) == _facts(travelled), "a measurement does not survive its way between processes")
    return found


def _check_metadata(specimen: str, spectrum: Spectrum) -> None:
    texts = all(isinstance(part, str) for item in spectrum.metadata.items() for part in item)
    _promise(texts, f"{specimen}: metadata hold something that is no text")
    _promise(bool(spectrum.metadata), f"{specimen}: no metadata are kept")


def _facts(measurements: Iterable[Measurement]) -> list[object]:
    return [
        (
            measurement.specimen,
            measurement.sources,
            name,
            spectrum.counts.tobytes(),
            spectrum.live_time_s,
            spectrum.real_time_s,
            spectrum.energy_scale,
            spectrum.condition,
            dict(spectrum.metadata),
        )
        for measurement in measurements
        for name, spectrum in measurement.spectra.items()
    ]


def _counts(measurements: Iterable[Measurement]) -> list[bytes]:
    return [spectrum.counts.tobytes() for measurement in measurements for spectrum in measurement.spectra.values()]


def _check_damage(
    spectrum_format: SpectrumFormat, path: Path, content: bytes, whole: tuple[Measurement, ...], mutations: int
) -> None:
    chance = random.Random(0)
    for number in range(mutations):
        place = chance.randrange(len(content))
        cut_off = number % 3 == 0
        damaged = content[:place] if cut_off else mutated(content, chance)
        found = _read_or_refused(spectrum_format, _file(path, damaged))
        if cut_off and found is not None:
            _promise(
                _counts(found) == _counts(whole),
                f"cut off after {place} of {len(content)} bytes, it yields other counts",
            )


def _read_or_refused(spectrum_format: SpectrumFormat, file: SpectrumBytes) -> tuple[Measurement, ...] | None:
    start = time.process_time()
    try:
        found = tuple(spectrum_format.measurements(file, None))
    except XrfreeError as error:
        message = str(error)
        in_form = message.startswith(file.path.name) and "\n" not in message
        _promise(in_form, f"an error of a damaged file does not begin with its name, or has several lines: {message!r}")
        found = None
    except Exception as error:
        raise ContractError(f"a damaged file raises {type(error).__name__}: {error}") from error
    taken = time.process_time() - start
    _promise(taken <= LONGEST_S, f"a damaged file takes {taken:.1f} s, expected at most {LONGEST_S:g} s")
    return found
