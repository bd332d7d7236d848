"""The folder of a bench: batches with their spectra and results, and the documents of the laboratory.

documents/                  methods, instruments, calibrations, certificates: put there by the engineer
batches/KEY/spectra/        what was uploaded
batches/KEY/batch.json      what is done with it
batches/KEY/results/        what `xrfree assay` wrote
batches/KEY/status.json     how far it is
batches/KEY/log.txt         what the command said
ledger.sqlite
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xrfree.documents.certificates import load_certificates
from xrfree.documents.specimens import load_specimens
from xrfree.errors import XrfreeError
from xrfree.report.files import prepare_folder, write_text

SCHEMA = "xrfree/bench-batch/1"
ASSAY, CALIBRATE = "assay", "calibrate"
DOWNLOADS = ("report.html", "assays.csv", "assays.json", "refused.csv", "gates.csv")
"""Files of results that may be fetched, as far as they are there."""
CALIBRATION = "calibration.toml"
_KEY = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
_LOG_END = 4000
_LONGEST_LINE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is done with the spectra of a batch; paths as text, empty where there is none.

    purpose : "assay" or "calibrate". exclude : table of standards to leave out.
    """

    name: str
    created: str
    purpose: str = ""
    method: str = ""
    instrument: str = ""
    calibration: str = ""
    specimens: str = ""
    certificates: str = ""
    exclude: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run is, as `xrfree assay --status` tells it; stage "" before it told anything."""

    stage: str = ""
    done: int = 0
    total: int = 0
    refused: int = 0
    records: dict[str, int]
    exit_code: int | None = None


class Batch:
    """One upload and everything that became of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder.name
        self.spectra = folder / "spectra"
        self.results = folder / "results"
        self.log = folder / "log.txt"
        self.status_file = folder / "status.json"
        self.calibration = folder / CALIBRATION

    def order(self) -> Order:
        """What is to be done with it."""
        data: dict[str, Any] = json.loads((self.folder / "batch.json").read_text(encoding="utf-8"))
        del data["schema"]
        return Order(**data)

    def write_order(self, order: Order) -> None:
        """Keep what is to be done with it."""
        write_text(self.folder / "batch.json", json.dumps({"schema": SCHEMA, **asdict(order)}, indent=1))

    def status(self) -> Status:
        """How far it is."""
        try:
            data: dict[str, Any] = json.loads(self.status_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Status(records={})
        del data["schema"]
        return Status(**data)

    def files(self) -> list[Path]:
        """All files that were uploaded, sorted."""
        return sorted(path for path in self.spectra.rglob("*") if path.is_file())

    def specimen_lists(self) -> list[Path]:
        """Those of them that are lists of specimens."""
        return [path for path in self._tables() if _loads(load_specimens, path)]

    def certificate_files(self) -> list[Path]:
        """Those of them that hold certificates."""
        documents = (path for path in self.files() if path.suffix.lower() == ".toml")
        return [path for path in (*documents, *self._tables()) if _loads(load_certificates, path)]

    def _tables(self) -> list[Path]:
        """Tables with a column specimen; all others are spectra, of which there may be thousands."""
        return [path for path in self.files() if path.suffix.lower() == ".csv" and "specimen" in _first_line(path)]

    def refusals(self) -> list[dict[str, str]]:
        """Rows of refused.csv: path, specimen, reason, remedy; empty before the end."""
        return self._rows("refused.csv")

    def gates(self) -> list[dict[str, str]]:
        """Rows of gates.csv; empty where the method has no gates."""
        return self._rows("gates.csv")

    def _rows(self, name: str) -> list[dict[str, str]]:
        try:
            with (self.results / name).open(encoding="utf-8", newline="") as stream:
                return list(csv.DictReader(stream))
        except FileNotFoundError:
            return []

    def told(self) -> str:
        """The end of what its command said."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_END:].strip()
        except FileNotFoundError:
            return ""


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        line = stream.readline(_LONGEST_LINE)
    return "" if line.startswith("#") else line


def _loads(load: Any, path: Path) -> bool:
    try:
        load(path)
    except XrfreeError:
        return False
    return True


class Workspace:
    """The folder of a bench."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.documents = home / "documents"
        self._batches = home / "batches"
        for folder in (home, self.documents, self._batches):
            prepare_folder(folder)

    def batches(self) -> list[Batch]:
        """All batches, the latest first."""
        return [Batch(f) for f in sorted(self._batches.iterdir(), reverse=True) if _KEY.fullmatch(f.name)]

    def batch(self, key: str) -> Batch | None:
        """A batch by its key; None for a key that is none, or of nothing."""
        if not _KEY.fullmatch(key) or not (self._batches / key / "batch.json").is_file():
            return None
        return Batch(self._batches / key)

    def incoming(self) -> Path:
        """A new folder to receive spectra in; to be given to `accept` or to `discard`."""
        now = dt.datetime.now().astimezone()
        folder = self._batches / f".{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        (folder / "spectra").mkdir(parents=True)
        return folder

    def accept(self, folder: Path, *, name: str) -> Batch:
        """Make a batch of what came; its name is for people."""
        created = dt.datetime.now().astimezone().isoformat(timespec="seconds")
        Batch(folder).write_order(Order(name=name, created=created))
        return Batch(folder.rename(folder.with_name(folder.name.removeprefix("."))))

    def discard(self, folder: Path) -> None:
        """Forget what came."""
        shutil.rmtree(folder)

    def document_files(self) -> list[Path]:
        """Documents of the laboratory, and calibrations made here."""
        made = [batch.calibration for batch in self.batches() if batch.calibration.is_file()]
        return [*sorted(self.documents.rglob("*.toml")), *made]

    def fits(self) -> list[Path]:
        """Folders that hold fitted curves, the latest first."""
        return [batch.results / "fits" for batch in self.batches()]
