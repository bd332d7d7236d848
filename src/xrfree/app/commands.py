"""Commands of xrfree as processes of their own: pages stay quick, and what a command does is the same everywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xrfree.app.settings import Settings
from xrfree.app.workspace import CALIBRATE, Batch, Order

REFUSED, HELD = 2, 3
"""Exit codes of commands that did their work all the same: some inputs refused, batch held by a gate."""
_NICE = 5
_PATIENCE_S = 10.0


class Commands:
    """Processes that were started here, by the key of their batch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, batch: Batch, order: Order) -> None:
        """Do what an order says; what is recorded already is not done again."""
        batch.write_order(order)
        batch.status_file.unlink(missing_ok=True)
        if order.purpose == CALIBRATE:
            # An old calibration must not pass for the new one if this run fails.
            batch.calibration.unlink(missing_ok=True)
        arguments = self._calibrate(batch, order) if order.purpose == CALIBRATE else self._assay(batch, order)
        with batch.log.open("wb") as log:
            process = subprocess.Popen(
                command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        self._running[batch.key] = process

    def exit_code(self, batch: Batch) -> int | None:
        """How its command ended; None while it runs, or where none was started since the bench was."""
        process = self._running.get(batch.key)
        return None if process is None else process.poll()

    def running(self, batch: Batch) -> bool:
        """Whether something is being done with it."""
        process = self._running.get(batch.key)
        return process is not None and process.poll() is None

    def stop(self, batch: Batch) -> None:
        """Ask its command to end; what it recorded stays."""
        if self.running(batch):
            _interrupt(self._running[batch.key])

    def stop_all(self) -> None:
        """Ask all to end, and wait for them."""
        running = [process for process in self._running.values() if process.poll() is None]
        for process in running:
            _interrupt(process)
        for process in running:
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _assay(self, batch: Batch, order: Order) -> list[str]:
        return [
            *("assay", str(batch.spectra), "--out", str(batch.results), "--status", str(batch.status_file)),
            *("--keep-fits", "--jobs", str(self._settings.jobs), "--ledger", self._settings.ledger_place),
            *_options(order, ("method", "instrument", "calibration", "specimens", "certificates")),
            *self._hand(),
        ]

    def _calibrate(self, batch: Batch, order: Order) -> list[str]:
        return [
            *("calibrate", str(batch.spectra), "--out", str(batch.calibration), "--name", order.name),
            *_options(order, ("method", "instrument", "specimens", "certificates", "exclude")),
        ]

    def _hand(self) -> list[str]:
        settings = self._settings
        operator = ["--operator", settings.operator] if settings.operator else []
        return [*operator, *(["--key", str(settings.key)] if settings.key else [])]


def _options(order: Order, names: Sequence[str]) -> list[str]:
    return [part for name in names if getattr(order, name) for part in (f"--{name}", getattr(order, name))]


def command(arguments: Sequence[str]) -> list[str]:
    """A command of xrfree as it is started."""
    return [sys.executable, "-m", "xrfree", *arguments]


def run(arguments: Sequence[str], *, timeout_s: float = 600.0) -> tuple[int, str]:
    """Run a command that ends soon: its exit code and everything it said. Blocking; for a thread."""
    done = subprocess.run(
        command(arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", errors="replace").strip()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        process.terminate()
    else:
        process.send_signal(signal.SIGINT)


def excluding(order: Order, table: Path) -> Order:
    """The same order without the standards that a table lists."""
    return replace(order, exclude=str(table))
