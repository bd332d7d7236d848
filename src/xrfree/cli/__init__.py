"""The command line: what is typed becomes calls of the public functions, and their errors one clear line.

Exit codes: 0 everything done; 1 usage or document error; 2 some inputs were refused; 3 a gate holds the batch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from xrfree.batch.threads import limit_threads
from xrfree.errors import XrfreeError

OK, FAILED, REFUSED, HELD, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    arguments : without the name of the program; None takes those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    limit_threads()  # before anything loads a numerical library
    for stream in (sys.stdout, sys.stderr):
        _never_refuse_a_character(stream)
    try:
        return _run([argument for argument in given if argument != "--debug"])
    except BrokenPipeError:  # as in `xrfree schema method | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exception(error)
        return _complain(_line(error))


def _run(arguments: list[str]) -> int:
    from xrfree.cli.app import app, is_usage_error, typed_wrongly

    try:
        code = app(args=arguments, prog_name="xrfree", standalone_mode=False)
    except Exception as error:
        if not is_usage_error(error):
            raise
        return _complain(typed_wrongly(error))
    if code == INTERRUPTED:  # so does typer say it
        raise KeyboardInterrupt
    sys.stdout.flush()
    return code if isinstance(code, int) else OK


def _complain(line: str, code: int = FAILED) -> int:
    sys.stderr.write(f"xrfree: {line}\n")
    return code


def _line(error: Exception) -> str:
    message = " ".join(str(error).split())
    if isinstance(error, XrfreeError):
        from xrfree.cli.pages import page_of

        page = page_of(error)
        return f"{message} (xrfree docs {page})" if page else message
    return (
        f"sorry, this is a fault of xrfree: {type(error).__name__}: {message}. "
        "Please report it; the option --debug shows where it happened."
    )


def _never_refuse_a_character(stream: TextIO) -> None:
    """A terminal that knows few characters gets escapes instead of a crash."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
