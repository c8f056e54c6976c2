"""Pickles from the internet, read without running them.

A pickle is a program. This reader knows only the instructions that build lists, tuples, bytes, text, booleans, integers and
NumPy arrays and scalars of these, does what they mean itself, and calls nothing that the pickle names: everything else is
an error. It reads what Python 2 and 3 write, protocols 0 to 5. The instructions are those of the standard library's
pickletools; text of Python 2 comes out as bytes, which is what it was.
"""

import codecs
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from marginface.data.files import most_unpacked

_MARK = object()
_INTEGERS = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"}


def read_pickle(content: bytes) -> Any:
    """The value in a pickle. Raises: ValueError for damage, and for anything but plain data."""
    machine = _Machine(content)
    try:
        while (code := machine.take(1)) != b".":
            if code not in _INSTRUCTIONS:
                raise ValueError("an instruction that plain data does not need")
            _INSTRUCTIONS[code](machine)
        return machine.stack.pop()
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise ValueError(f"not a pickle of plain data (byte {machine.at}: {error or type(error).__name__})") from error


@dataclass(frozen=True)
class _Name:
    """Something that the pickle names: never looked up."""

    full: str


@dataclass(eq=False)
class _Type:
    """A NumPy type under construction."""

    code: str
    order: str = "="

    def dtype(self) -> np.dtype:
        if self.code not in _INTEGERS or self.order not in ("<", ">", "|", "="):
            raise ValueError(f"an array of type {self.order}{self.code}; only integers and booleans are read")
        return np.dtype(self.order.replace("|", "=") + self.code)


@dataclass(eq=False)
class _Array:
    """A NumPy array under construction: named first, filled later."""

    value: np.ndarray | None = None


class _Machine:
    """The stack, the memo and the place in the pickle."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.room = most_unpacked(len(content))  # a few bytes can ask for a copy of a large value again and again

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.content):
            raise ValueError(f"cut short: {size} bytes expected, {len(self.content) - self.at} left")
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        end = self.content.index(b"\n", self.at)
        return self.take(end + 1 - self.at)[:-1]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_copy(self, value: Any) -> None:
        self.room -= value.nbytes if isinstance(value, np.ndarray) else len(value) if isinstance(value, bytes) else 0
        if self.room < 0:
            raise ValueError("its arrays are larger than a file of its size can stand for")
        self.push(value)

    def above_mark(self) -> list[Any]:
        """Takes everything above the last mark, and the mark."""
        mark = len(self.stack) - 1
        while self.stack[mark] is not _MARK:  # an IndexError below the bottom
            mark -= 1
            if mark < 0:
                raise ValueError("a mark is missing")
        values = self.stack[mark + 1 :]
        del self.stack[mark:]
        return values

    def top(self, size: int) -> tuple[Any, ...]:
        """Takes that many values from the stack."""
        if len(self.stack) < size:
            raise ValueError("the stack is empty")
        values = tuple(self.stack[-size:])
        del self.stack[-size:]
        return values

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError(f"something appended to a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(values)

    def integer(self, text: bytes) -> None:
        """Protocol 0 writes booleans as the numbers 00 and 01, and Python 2's long ones with an L."""
        self.push(text == b"01" if text in (b"00", b"01") else int(text.removesuffix(b"L")))

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> None:
        value = self.memo[key]
        self.push(value.value if isinstance(value, _Array) and value.value is not None else value)

    def name(self, module: str, name: str) -> None:
        """Modules have moved since Python 2 and NumPy 1."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a name that is not text")
        module = module.replace("__builtin__", "builtins").replace("numpy._core.", "numpy.core.")
        self.push(_Name(f"{module}.{name}"))

    def reduce(self) -> None:
        """Where a pickle calls what it named, we build what is meant, if we know it."""
        what, arguments = self.top(2)
        if not isinstance(what, _Name):
            raise ValueError(f"a call of a {type(what).__name__}")
        if what.full not in _MEANINGS:
            raise ValueError(f"it wants to call {what.full}; nothing is called")
        self.push_copy(_MEANINGS[what.full](*arguments))

    def build(self) -> None:
        """The state of an array or of a type, for what is on the stack below it."""
        target, state = self.top(2)
        if isinstance(target, _Type):
            target.order = _text(state[1])
            self.push(target)
        elif isinstance(target, _Array):
            _, shape, kind, column_major, values = state
            target.value = _array(values, kind, shape, "F" if column_major else "C")
            self.push_copy(target.value)
        else:
            raise ValueError(f"a state for a {type(target).__name__}")


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _array(values: bytes | str, kind: _Type, shape: tuple[int, ...], order: str = "C") -> np.ndarray:
    raw = values.encode("latin1") if isinstance(values, str) else values
    if not isinstance(kind, _Type) or not isinstance(raw, bytes):
        raise ValueError(f"an array of {type(kind).__name__} from {type(raw).__name__}")
    flat = np.frombuffer(raw, kind.dtype())
    return flat.astype(flat.dtype.newbyteorder("="), copy=False).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in the protocols of Python 2."""
    if encoding != "latin1":
        raise ValueError(f"an encoding of bytes that no pickle uses: {encoding!r}")
    return text.encode("latin1")


_MEANINGS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "builtins.bytes": lambda: b"",  # an empty one, in the protocols of Python 2
    "numpy.dtype": lambda code, *_: _Type(_text(code)),
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.multiarray.scalar": lambda kind, value: _array(value, kind, ())[()],
    "numpy.core.numeric._frombuffer": _array,
}


def _sized(form: str, decode: Callable[[bytes], Any]) -> Callable[[_Machine], None]:
    return lambda m: m.push(decode(m.take(m.number(form))))


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda m: m.push(value)


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _quoted(line: bytes) -> bytes:
    """A string of Python 2 as it wrote it: in quotes, with escapes."""
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a string without its quotes")
    return codecs.escape_decode(line[1:-1])[0]


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # the protocol
    b"\x95": lambda m: m.take(8),  # the length of a frame, whose content follows in any case
    b"(": _constant(_MARK),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b")": _constant(()),
    b"]": lambda m: m.push([]),
    b"I": lambda m: m.integer(m.line()),
    b"L": lambda m: m.integer(m.line()),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": _sized("<B", lambda raw: int.from_bytes(raw, "little", signed=True)),
    b"S": lambda m: m.push(_quoted(m.line())),
    b"T": _sized("<i", bytes),
    b"U": _sized("<B", bytes),
    b"B": _sized("<I", bytes),
    b"C": _sized("<B", bytes),
    b"\x8e": _sized("<Q", bytes),
    b"\x96": _sized("<Q", bytes),  # a bytearray, which NumPy arrays are in protocol 5
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b"X": _sized("<I", _utf8),
    b"\x8c": _sized("<B", _utf8),
    b"\x8d": _sized("<Q", _utf8),
    b"p": lambda m: m.remember(int(m.line())),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.recall(int(m.line())),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"t": lambda m: m.push(tuple(m.above_mark())),
    b"\x85": lambda m: m.push(m.top(1)),
    b"\x86": lambda m: m.push(m.top(2)),
    b"\x87": lambda m: m.push(m.top(3)),
    b"l": lambda m: m.push(m.above_mark()),
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"e": lambda m: m.extend(m.above_mark()),
    b"c": lambda m: m.name(m.line().decode(), m.line().decode()),
    b"\x93": lambda m: m.name(*m.top(2)),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
}
