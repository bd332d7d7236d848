"""The checks of `python run.py test` one by one, each in an environment of its own: `nox -l` lists them."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "layers", "test"]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
BENCHMARKS = ("regression", "matrix_speed", "fit_speed")
"""Those that need no data and take less than a minute each."""


def install(session: nox.Session) -> None:
    """The project with its test tools and peers."""
    session.install("-e", ".[test,peers]")


@nox.session(python=["3.11", "3.12", "3.13"])
def test(session: nox.Session) -> None:
    """All tests."""
    install(session)
    session.run("pytest", *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Static types."""
    install(session)
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    install(session)
    session.run("lint-imports")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Every notebook from top to bottom."""
    install(session)
    session.run("pytest", "tests/documentation/test_notebooks.py", env=ONE_THREAD)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, in the folder site."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict")


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel as a new user has it: asked for help and documentation, and the demonstration assayed."""
    session.install("build")
    out = Path(session.create_tmp())
    session.run("python", "-m", "build", "--wheel", "--outdir", str(out), ".")
    session.install(*map(str, out.glob("*.whl")))
    session.chdir(out)
    session.run("xrfree", "--help")
    session.run("xrfree", "docs")
    session.run("xrfree", "demo", env=ONE_THREAD)


@nox.session
def bench(session: nox.Session) -> None:
    """Quick benchmarks, or those that are named: nox -s bench -- coverage."""
    install(session)
    for name in session.posargs or BENCHMARKS:
        session.run("python", f"benchmarks/{name}.py", env=ONE_THREAD)
