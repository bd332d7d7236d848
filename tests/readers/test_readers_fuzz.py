"""The tool that damages files finds what it looks for, and finds nothing in our readers."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
TOOL_PATH = ROOT / "benchmarks" / "readers_fuzz.py"
TOOL = SimpleNamespace(**run_path(str(TOOL_PATH)))
FILES: dict[str, dict[str, bytes]] = run_path(str(Path(__file__).with_name("samples.py")))["files_of_readers"]()


@pytest.mark.parametrize("engine", ["bytes", "hypothesis", "atheris"])
@pytest.mark.parametrize("reader", ["ortec_spe", "hdf5_other"])
def test_an_engine_runs_all_its_mutations_in_a_worker(reader: str, engine: str) -> None:
    if find_spec(engine) is None and engine != "bytes":
        pytest.skip(f"{engine} is not installed")
    result = TOOL.fuzz(reader, FILES[reader], engine, 120)
    assert (result.mutations, result.faults, result.told) == (120, 0, ())
    assert result.read + result.refused == 120
    assert result.refused > 0


BAD_READERS = {
    "raises another error": ("raise KeyError('oops')", "KeyError: 'oops'"),
    "does not name the file": ("raise XrfreeError('bad')", "a message out of form: 'bad'"),
    "opens another file": ("open(__file__).close()", "acts: open"),
    "writes beside the file": ("(path.parent / 'cache').write_text('')", "acts: open"),
    "starts a program": ("subprocess.run(['true'])", "acts: subprocess.Popen"),
    "unpickles": ("pickle.loads(pickle.dumps(XrfreeError))", "acts: pickle.find_class"),
    "takes too much memory": ("numpy.ones(2**25)", "MemoryError"),
    "takes too long": ("while True: pass", "the worker ended with -27"),
    "crashes": ("os.abort()", "the worker ended with -6"),
}
WORKER = """
import os, pickle, runpy, subprocess, sys
import numpy
from pathlib import Path
tool = runpy.run_path({tool!r})
from xrfree.errors import XrfreeError
trial = tool["Trial"]("bad", Path({folder!r}) / "ore.txt", tool["Tally"](Path({folder!r}) / "tally.json"), None)
def bad(path):
    {line}
    return ()
trial.warm_up([])
trial.verbs = (bad,)
trial(b"x")
assert trial.tally.outcomes["faults"] == 1, trial.tally
sys.exit(trial.tally.told[0])
"""


@pytest.mark.parametrize("name", BAD_READERS)
def test_what_a_bad_reader_does_is_found(tmp_path: Path, name: str) -> None:
    line, told = BAD_READERS[name]
    code = WORKER.format(tool=str(TOOL_PATH), folder=str(tmp_path), line=line)
    done = subprocess.run(
        [sys.executable, "-c", code.replace("__file__", repr(str(Path(__file__))))],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "OPENBLAS_NUM_THREADS": "1"},
    )
    ended = f"the worker ended with {done.returncode}" if done.returncode < 0 else done.stderr
    assert told in ended
