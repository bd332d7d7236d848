"""A bench that runs as it is started by people, and requests as browsers and others send them."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from urllib.parse import urlsplit

import numpy as np
import pytest

from xrfree.ledger.store import Ledger, entry

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "calibration" / "spectra" / "demo"
HANDMADE = run_path(str(REPOSITORY / "tests" / "handmade.py"))


class Running:
    """A bench that runs: its address, its folder."""

    def __init__(self, address: str, home: Path) -> None:
        self.address, self.home = address, home

    @property
    def authority(self) -> str:
        return urlsplit(self.address).netloc

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer; the request is as given, with nothing added but its length."""
        host, _, port = self.authority.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": self.authority, "Content-Length": str(len(body)), **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", errors="replace")
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text
        finally:
            connection.close()

    def upload(self, files: dict[str, bytes], **headers: str) -> tuple[int, dict[str, str], str]:
        """Send files as the form of the first page does."""
        given = {"Origin": f"http://{self.authority}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.ask("POST", "/upload", form_of(files), {**given, "Content-Type": FORM_TYPE})

    def batches(self) -> list[Path]:
        return sorted((self.home / "batches").iterdir())


BOUNDARY = "----boundary"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form_of(files: dict[str, bytes]) -> bytes:
    """A form with files, as browsers write it: quotes in names are escaped."""
    parts = []
    for name, content in files.items():
        shown = name.replace('"', "%22")
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{shown}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def running_bench(home: Path, *options: str) -> Iterator[Running]:
    """Start `xrfree bench`, wait for its address, and end it as Ctrl+C does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "xrfree", "bench", "--home", str(home), "--port", "0", "--operator", "ann"]
    with (home.parent / f"{home.name}.log").open("w+") as log:
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("Bench: "):
                process.wait(30)
                log.seek(0)
                pytest.fail(f"the bench did not start: {line}{log.read()}")
            yield Running(line.removeprefix("Bench: ").strip(), home)
        finally:
            process.send_signal(2)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def fill_ledger(place: Path) -> None:
    """Fifteen results of a monitor: then 6 s too high. Eleven pairs of duplicates, the last far apart."""
    steady = np.random.default_rng(5).standard_normal(14).clip(-1.5, 1.5).tolist()
    with Ledger(place) as ledger:
        for i, difference in enumerate([1.0, -1.2, 0.4, 1.1, -0.9, 1.3, -0.8, 1.0, 0.7, -1.1, 6.0]):
            pair = HANDMADE["recorded_pair"](ledger, f"D{i}", difference)
            ledger.append([entry("gates", "Ore", {"results": pair, "duplicates": {f"D{i}": pair}})], actor="ann")
        for shift in [*steady, 6.0]:
            ledger.append([HANDMADE["made_result"]("monitor", shift)], actor="ann")


def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait for something that happens elsewhere."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain")
        time.sleep(0.1)
