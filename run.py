"""Set up and run xrfree with nothing but Python: `python run.py demo` or `python run.py test`.

demo  installs the project into .venv and runs `xrfree demo`; further arguments go to xrfree.
test  installs the test tools and the peers as well and runs every check; further arguments go to pytest.

A second run installs nothing, unless pyproject.toml, the Python of .venv, or the place of the folder changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
STAMP = VENV / "xrfree-installed.json"
OLDEST, FIRST_UNSUPPORTED = (3, 11), (3, 14)
EXTRAS = {"demo": (), "test": ("test", "peers")}
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class SetupError(Exception):
    """The environment could not be set up; the message says what to do."""


def is_supported(version: tuple[int, ...]) -> bool:
    """Whether a Python of this version can run xrfree."""
    return OLDEST <= version[:2] < FIRST_UNSUPPORTED


def check_python() -> None:
    """Refuse a Python that xrfree does not support."""
    if not is_supported(sys.version_info[:3]):
        raise SetupError(
            f"This is Python {sys.version.split()[0]} ({sys.executable}); xrfree needs 3.11, 3.12 or 3.13. "
            "Install one of them and start run.py with it, e.g. `python3.12 run.py demo`."
        )


def program(name: str) -> str:
    """Path of a program inside .venv."""
    return str(SCRIPTS / (f"{name}.exe" if os.name == "nt" else name))


def environment(**extra: str) -> dict[str, str]:
    """Return the caller's variables, less those that would let packages from outside leak into .venv."""
    leaks = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    return {**{k: v for k, v in os.environ.items() if k not in leaks}, **extra}


def run(title: str, command: list[str], env: dict[str, str]) -> int:
    """Run one step in the project folder, announced by its title; return its exit code."""
    print(f"\n== {title}", flush=True)
    try:
        return subprocess.call(command, cwd=ROOT, env=env)
    except OSError as problem:
        print(f"{command[0]}: {problem}", flush=True)
        return 127


def venv_version() -> tuple[int, ...]:
    """Version of the Python in .venv; empty when there is none that runs."""
    question = "import pip, sys; print(*sys.version_info[:3])"
    try:
        answer = subprocess.run(
            [program("python"), "-c", question], env=environment(), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in answer.stdout.split())


def read_stamp() -> dict[str, object]:
    """What was noted when .venv was filled; empty when nothing was, or it cannot be read."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def make_venv(root: object) -> tuple[int, ...]:
    """Create .venv, unless a supported Python runs in it and its programs were made for this `root`."""
    version = venv_version()
    if is_supported(version) and root == str(ROOT):
        return version
    print(f"\n== Creating {VENV.name}", flush=True)
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise SetupError(
            f"{VENV} could not be created ({problem}). "
            "On Debian and Ubuntu install the package python3-venv; "
            "otherwise check that the folder may be written."
        ) from problem
    return venv_version()


def installation(version: tuple[int, ...]) -> dict[str, object]:
    """Everything that makes an earlier installation valid, but for its extras."""
    return {
        "pyproject": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
        "python": ".".join(map(str, version)),
        "root": str(ROOT),
    }


def install(extras: tuple[str, ...]) -> None:
    """Install the project (editable) and its extras into .venv, unless that was done before."""
    stamp = read_stamp()
    wanted = installation(make_venv(stamp.get("root", str(ROOT))))
    valid = STAMP.exists() and all(stamp.get(key) == value for key, value in wanted.items())
    present = set(str(stamp.get("extras", "")).split()) if valid else set()
    if valid and present.issuperset(extras):
        return
    STAMP.unlink(missing_ok=True)
    keep = sorted({*extras, *present})
    target = f".[{','.join(keep)}]" if keep else "."
    pip = [program("python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    if run(f"Installing xrfree: {target} (minutes, the first time)", [*pip, "--editable", target], environment()):
        hint = " The peer fisx is built from source: that needs a C++ compiler." if "peers" in keep else ""
        raise SetupError(f"pip could not install {target}; its own message stands above.{hint}")
    STAMP.write_text(json.dumps({**wanted, "extras": " ".join(keep)}, indent=1), encoding="utf-8")


def demo(arguments: list[str]) -> int:
    """Run `xrfree demo`."""
    return run("xrfree demo", [program("xrfree"), "demo", *arguments], environment())


def test(arguments: list[str]) -> int:
    """Run every check, and fail at the end if one of them failed."""
    python = program("python")
    steps = {
        "ruff check": [python, "-m", "ruff", "check", "."],
        "ruff format --check": [python, "-m", "ruff", "format", "--check", "."],
        "mypy": [python, "-m", "mypy"],
        "lint-imports": [program("lint-imports")],
        "pytest": [python, "-m", "pytest", "-n", "2", "--cov", *arguments],
    }
    env = environment(MPLBACKEND="Agg", PYTHONUTF8="1", **dict.fromkeys(THREAD_LIMITS, "1"))
    failed = [title for title, command in steps.items() if run(title, command, env)]
    if failed:
        print(f"\nFAILED: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Run the command named by the first argument."""
    if not arguments or arguments[0] not in EXTRAS:
        print(__doc__)
        return 2
    command, *rest = arguments
    try:
        check_python()
        install(EXTRAS[command])
    except SetupError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    return {"demo": demo, "test": test}[command](rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
