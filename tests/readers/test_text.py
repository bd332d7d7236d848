"""Numbers: the fast path and the line-by-line path must say the same."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xrfree.errors import SpectrumFileError
from xrfree.readers._text import NumberBlock, decode, listed, number

PATH = Path("a.csv")
NUMBERS = "0 7 12 84. 84.0 .5 1e3 +3 -2 1E+2"
NO_NUMBERS = "nan inf 1_0 0x1 e5 1e999 ."
PIECES = st.sampled_from([*NUMBERS.split(), *NO_NUMBERS.split(), ",", ",", ",", ";", "\n", "\n", "\n", " ", "\t"])


@pytest.mark.parametrize(
    "token", ["nan", "inf", "-inf", "1_000", "0x10", "1e999", "", " 1", "1 ", "٣", "1e", ".", "+", "1,5"]
)
def test_not_a_number(token: str) -> None:
    assert number(token) is None


@pytest.mark.parametrize(("token", "value"), [("84.", 84.0), (".5", 0.5), ("+3", 3.0), ("-1.5E-2", -0.015)])
def test_a_number(token: str, value: float) -> None:
    assert number(token) == value


def outcome(block: NumberBlock, *, fast: bool, separator: str | None, n_columns: int) -> object:
    columns = tuple(range(n_columns))
    read = block.table if fast else block._table_by_line
    try:
        return read(separator, columns, n_columns).tolist()
    except SpectrumFileError as error:
        return str(error)


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(st.lists(PIECES, max_size=14), st.sampled_from([",", ";", "\t", None]), st.integers(1, 3))
@example(["3;\n36\n"], ";", 1)  # the fast one took ";" for a digit, and ended in a ValueError
@example(["3;4\n36;5\n"], ";", 2)
def test_fast_tables_equal_slow_ones(pieces: list[str], separator: str | None, n_columns: int) -> None:
    block = NumberBlock(path=PATH, text="".join(pieces), first_line=3)
    fast = outcome(block, fast=True, separator=separator, n_columns=n_columns)
    assert fast == outcome(block, fast=False, separator=separator, n_columns=n_columns)


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(st.lists(PIECES, max_size=14), st.booleans())
def test_fast_lists_equal_slow_ones(pieces: list[str], commas: bool) -> None:
    block = NumberBlock(path=PATH, text="".join(pieces), first_line=3)
    found = []
    for read in (block.flat, block._flat_by_line):
        try:
            found.append(read(commas=commas).tolist())
        except SpectrumFileError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_every_number_knows_its_line() -> None:
    block = NumberBlock(path=PATH, text="1 2\n\n3,\n4", first_line=10)
    np.testing.assert_array_equal(block.flat(commas=True), [1, 2, 3, 4])
    assert [block.line_of_number(i, commas=True) for i in range(4)] == [10, 10, 12, 13]


def test_line_ends_and_marks() -> None:
    assert decode(PATH, b"a\r\nb\rc\n") == "a\nb\nc\n"
    assert decode(PATH, "a µ\n".encode("utf-8-sig")) == "a µ\n"
    assert decode(PATH, b"a \xb5\n" + b" " * 20) == "a µ\n" + " " * 20
    assert decode(PATH, b"a\n\x1a") == "a\n"


def test_long_lists_are_cut_short() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(["9" * 400, *"bcdefgh"]) == f"{'9' * 37}..., b, c, d, e, f and 2 more"
    assert listed([]) == ""
