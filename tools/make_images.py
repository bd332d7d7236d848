"""Pictures of the readme and of the documentation: a fitted spectrum and a report, from the demonstration.

    python tools/make_images.py docs/images

The report is photographed by Chromium without a window, which must be installed (Debian: chromium).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import xrfree
from xrfree.cli import main as xrfree_command
from xrfree.documents.shipped import shipped_path
from xrfree.documents.specimens import load_specimens
from xrfree.quantification import common_solution, matched_conditions, prepare
from xrfree.report.notebook import EMPHASISED
from xrfree.report.plots import write_png

SPECIMEN = "laterite-middle"
MOST_BYTES = 150_000
WINDOW = (1180, 860)
COLOURS = 256


def write_fit(path: Path) -> None:
    """The band of the rare earths in one of the example ores, with what each of them contributes."""
    method = xrfree.load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    instrument = xrfree.load_instrument(shipped_path("fitted", "example-edxrf.toml"))
    calibration = xrfree.load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml"))
    halves = [
        xrfree.read_measurement(shipped_path("spectra", "demo", f"{SPECIMEN}.{condition}.csv"))
        for condition in ("low", "high")
    ]
    both = xrfree.Measurement(specimen=SPECIMEN, spectra={k: s for half in halves for k, s in half.spectra.items()})
    prepared = prepare(method, instrument, calibration)
    specimen = load_specimens(shipped_path("spectra", "demo", "specimens.csv"))[SPECIMEN].specimen
    solution = common_solution(matched_conditions(both, method), prepared, specimen)
    write_png(path, xrfree.plot.fit(solution.fits[0], emphasised=EMPHASISED))


def write_report(path: Path) -> None:
    """The top of the demonstration's report."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is not installed; the report cannot be photographed.")
    with tempfile.TemporaryDirectory() as folder:
        if xrfree_command(["demo", "--out", folder]):
            raise SystemExit("the demonstration failed; its message stands above")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WINDOW[0]},{WINDOW[1]}"]
        page = Path(folder, "report.html").as_uri()
        subprocess.run([chromium, *options, f"--screenshot={path.resolve()}", page], check=True, capture_output=True)


def make_small(path: Path) -> None:
    """Few colours are enough; refuse a picture that is too large to be part of a repository."""
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes, more than {MOST_BYTES}")
    print(f"{path}: {size} bytes")


def main(arguments: list[str]) -> int:
    """Write both pictures into the folder that the only argument names."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in (("fit.png", write_fit), ("report.png", write_report)):
        write(folder / name)
        make_small(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
