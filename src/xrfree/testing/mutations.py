"""Damaged copies of a file: what disks, cables, editors, spreadsheets and ill will make of it.

Every damage is one small function of the bytes and of a source of chance. The source may be `random.Random`, or the
one of hypothesis, which then chooses and shrinks what happens.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Chance(Protocol):
    """What is asked of a source of chance; `random.Random` is one."""

    def randrange(self, stop: int, /) -> int:
        """A whole number from 0 to stop - 1."""
        ...

    def choice(self, among: Sequence[T], /) -> T:
        """One of several things."""
        ...


# Where lengths, versions and counts stand in a binary file.
_HEADER_BYTES = 600
_TOKENS = (
    b"", b"\0", b"\0" * 64, b"\n", b"\r", b"\n\n", b" ", b"\t", b",", b";", b":", b"=", b"#", b"##", b"$", b"@", b"<",
    b">", b"<<", b">>", b'"', b"'", b"\\", b"%", b".", b"-", b"e", b"<LOD", b"&a;", b"<!DOCTYPE a>", b"<![CDATA[",
    b"]]>", b"\x1a", b"\x0c", b"\x85", b"\xff" * 4,
)  # fmt: skip
_NUMBERS = (
    b"nan", b"NaN", b"inf", b"-inf", b"Infinity", b"-1", b"-0", b"0", b"00", b"1e400", b"-1e400", b"1e308", b"-1e308",
    b"1e-320", b"1e", b"0x10", b"1_000", b"1,5", b"1.5.2", b"+-1", b"1d5", b"255", b"256", b"32768", b"65535", b"65536",
    b"2147483647", b"2147483648", b"4294967295", b"9007199254740993", b"9223372036854775808", b"18446744073709551616",
    b"9" * 400, b"0." + b"0" * 400 + b"1", b"1e" + b"9" * 30, "٣".encode(), "²".encode(), "½".encode(), b"True",
    b"None",
)  # fmt: skip
_RUBBISH = (
    b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80",
    b"\xe9", b"\x81\x8d\x8f", b"\xa0", "\u2028".encode(), "\u202e".encode(), "µ".encode(), "Å".encode("latin-1"),
    "日本".encode("shift_jis"),
)  # fmt: skip
_INTEGERS = (
    0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 1023, 2**15 - 1, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, 2**40, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
_REALS = (0.0, -0.0, -1.0, 1e-310, 1e308, -1e308, 1e30, float("nan"), float("inf"), float("-inf"))
_FIELD = re.compile(rb"[^\s,;:=<>\"]+")
_NUMBER = re.compile(rb"[-+]?[0-9][0-9.eE+-]*")


def mutated(content: bytes, chance: Chance) -> bytes:
    """A copy of a file with one to six damages."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if content:
            content = chance.choice(DAMAGES)(content, chance)
    return content


def _replaced(content: bytes, start: int, stop: int, new: bytes) -> bytes:
    return content[:start] + new + content[stop:]


def _span(content: bytes, chance: Chance) -> tuple[int, int]:
    """A place, and one behind it: mostly near."""
    start = chance.randrange(len(content))
    return start, min(len(content), start + chance.choice((1, 2, 4, 8, 16, 100, 1000, len(content))))


def flip(content: bytes, chance: Chance) -> bytes:
    """One bit changed."""
    place = chance.randrange(len(content))
    return _replaced(content, place, place + 1, bytes([content[place] ^ (1 << chance.randrange(8))]))


def early_byte(content: bytes, chance: Chance) -> bytes:
    """Any byte among the first ones."""
    place = chance.randrange(min(len(content), _HEADER_BYTES))
    return _replaced(content, place, place + 1, bytes([chance.randrange(256)]))


def truncate(content: bytes, chance: Chance) -> bytes:
    """The end cut off."""
    return content[: chance.randrange(len(content))]


def behead(content: bytes, chance: Chance) -> bytes:
    """The beginning cut off."""
    return content[chance.randrange(min(len(content), _HEADER_BYTES)) :]


def delete(content: bytes, chance: Chance) -> bytes:
    """A piece taken out."""
    start, stop = _span(content, chance)
    return _replaced(content, start, stop, b"")


def duplicate(content: bytes, chance: Chance) -> bytes:
    """A piece twice."""
    start, stop = _span(content, chance)
    return content[:stop] + content[start:]


def splice(content: bytes, chance: Chance) -> bytes:
    """A piece over what stands elsewhere."""
    start, stop = _span(content, chance)
    place = chance.randrange(len(content))
    return _replaced(content, place, place + stop - start, content[start:stop])


def overwrite(content: bytes, chance: Chance) -> bytes:
    """A token over the bytes that stand there."""
    place, token = chance.randrange(len(content)), chance.choice(_TOKENS)
    return _replaced(content, place, place + len(token), token)


def insert(content: bytes, chance: Chance) -> bytes:
    """A token between the bytes."""
    place = chance.randrange(len(content))
    return _replaced(content, place, place, chance.choice(_TOKENS))


def extreme_integer(content: bytes, chance: Chance) -> bytes:
    """A telling whole number of 1 to 8 bytes, in either byte order: where a length stands, it claims too much."""
    size, order = chance.choice((1, 2, 2, 4, 4, 4, 8)), chance.choice(("<", ">"))
    place = chance.randrange(min(len(content), chance.choice((_HEADER_BYTES, len(content)))))
    value = chance.choice(_INTEGERS) % 2 ** (8 * size)
    return _replaced(content, place, place + size, value.to_bytes(size, "little" if order == "<" else "big"))


def extreme_real(content: bytes, chance: Chance) -> bytes:
    """NaN, infinity or another telling real number, in place of four or eight bytes."""
    kind = chance.choice(("<f", "<d", ">f", ">d"))
    value = chance.choice(_REALS)
    packed = struct.pack(kind, value if kind[1] == "d" or not 1e30 < abs(value) < float("inf") else 1e30)
    place = chance.randrange(min(len(content), chance.choice((_HEADER_BYTES, len(content)))))
    return _replaced(content, place, place + len(packed), packed)


def number_field(content: bytes, chance: Chance) -> bytes:
    """Something that is no number, or no sensible one, in place of a number in a text."""
    return _in_place_of(_NUMBER, content, chance, _NUMBERS)


def any_field(content: bytes, chance: Chance) -> bytes:
    """A token in place of a word or a number."""
    return _in_place_of(_FIELD, content, chance, (*_TOKENS, *_NUMBERS))


def _in_place_of(what: re.Pattern[bytes], content: bytes, chance: Chance, tokens: Sequence[bytes]) -> bytes:
    reach = chance.choice((_HEADER_BYTES, _HEADER_BYTES, len(content)))
    field = what.search(content, chance.randrange(min(len(content), reach)))
    return content if field is None else _replaced(content, field.start(), field.end(), chance.choice(tokens))


def rubbish(content: bytes, chance: Chance) -> bytes:
    """Bytes that belong to another encoding, or to none."""
    place = chance.choice((0, chance.randrange(len(content))))
    return _replaced(content, place, place, chance.choice(_RUBBISH))


_RECODINGS: tuple[Callable[[str], bytes], ...] = (
    lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-16-le"),
    lambda text: text.encode("utf-32"),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.replace("\n", "\r\n").encode("latin-1"),
    lambda text: text.replace("\n", "\r").encode("latin-1"),
    lambda text: text.replace(",", ";").replace(".", ",").encode("latin-1"),
)


def recode(content: bytes, chance: Chance) -> bytes:
    """The whole text in another encoding, or with other line ends, or with decimal commas."""
    return chance.choice(_RECODINGS)(content.decode("latin-1"))


def swap_lines(content: bytes, chance: Chance) -> bytes:
    """Two lines changed for one another."""
    lines = content.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def repeat_line(content: bytes, chance: Chance) -> bytes:
    """A line once more, elsewhere."""
    lines = content.split(b"\n")
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    return b"\n".join(lines)


def drop_line(content: bytes, chance: Chance) -> bytes:
    """A line left out, mostly one of the first."""
    lines = content.split(b"\n")
    del lines[chance.randrange(min(len(lines), chance.choice((20, 20, len(lines)))))]
    return b"\n".join(lines)


DAMAGES: tuple[Callable[[bytes, Chance], bytes], ...] = (
    flip, flip, early_byte, early_byte, truncate, behead, delete, duplicate, splice, overwrite, insert, extreme_integer,
    extreme_integer, extreme_real, number_field, number_field, any_field, any_field, rubbish, recode, swap_lines,
    repeat_line, drop_line,
)  # fmt: skip
"""The damages, the more frequent ones several times."""
