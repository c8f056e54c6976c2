"""Pickles without pickle: what Python 2 and 3 and NumPy write is read, and nothing in it is run."""

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.data.pickles import read_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=300) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=20,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(value=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_as_python_3_writes_it(value: Any, protocol: int) -> None:
    assert read_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, ">i4", np.int64, "<u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_arrays_and_scalars(protocol: int, dtype: Any, order: Any) -> None:
    array = np.array([[0, 1, 0], [1, 1, 0]], dtype=dtype, order=order)
    found = read_pickle(pickle.dumps([array, array[0, 1], array], protocol))
    for ours in (found[0], found[2]):
        np.testing.assert_array_equal(ours, array)
        assert ours.dtype == array.dtype.newbyteorder("=")
    assert found[1] == array[0, 1]
    assert found[1].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (
            b"(lp0\nS'\\xff\\xd8\\n\\'\"'\np1\naS\"it's\"\np2\naI01\naI00\naL-5L\na.",
            [b"\xff\xd8\n'\"", b"it's", True, False, -5],
        ),
        (
            b"\x80\x02]q\x00(U\x03\xff\xd8\x00q\x01T\x02\x00\x00\x00\x01\x02\x88h\x01e.",
            [b"\xff\xd8\0", b"\1\2", True, b"\xff\xd8\0"],
        ),
        (b"(I1\nI2\nt.", (1, 2)),
    ],
)
def test_python_2(written: bytes, value: Any) -> None:
    """Written by hand after pickletools, since Python 2 is gone; Python's own unpickler is the witness."""
    assert pickle.loads(written, encoding="bytes") == value
    assert read_pickle(written) == value


def test_an_array_of_python_2() -> None:
    written = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x02\x85"
        b"cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02"
        b"\xff\xd8tb."
    )
    assert pickle.loads(written, encoding="bytes").tolist() == [255, 216]
    assert read_pickle(written).tolist() == [255, 216]


class Call:
    """What an attacker's class looks like: pickling it writes a call."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_called(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attacks = [Call(os.system, f"touch {mark}"), Call(os.mkdir, str(mark)), Call(eval, f"open({str(mark)!r}, 'w')")]
    for attack in attacks:
        for content in (attack, ([attack], [True]), ([b"", attack], [True])):
            with pytest.raises(ValueError, match="wants to call"):
                read_pickle(pickle.dumps(content, protocol))
            assert not mark.exists()
    pickle.loads(pickle.dumps(attacks[0], protocol))  # and it was a real attack
    assert mark.exists()


def test_the_instructions_that_call_by_other_ways_are_unknown() -> None:
    """OBJ, INST, NEWOBJ, NEWOBJ_EX, EXT1, EXT2, EXT4, PERSID, BINPERSID: each would look something up."""
    others = {code.code: code.name for code in pickletools.opcodes}
    for code in "oi\x81\x92\x82\x83\x84PQ":
        with pytest.raises(ValueError, match="plain data does not need"):
            read_pickle(b"(" + code.encode("latin1") + b"os\nsystem\n.")
        assert code in others


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (b".", "pop from empty list"),
        (b"K", "cut short"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc", "cut short"),
        (b"T\xff\xff\xff\xffabc", "cut short"),
        (b"(t", "cut short"),
        (b"t.", "index out of range"),
        (b"K\x01t.", "mark is missing"),
        (b"h\x05.", "5"),
        (b"K\x01\x86.", "stack is empty"),
        (b"K\x01K\x02a.", "appended to a int"),
        (b"K\x01K\x02R.", "call of a int"),
        (b"K\x01N)b.", "state for a NoneType"),
        (b"K\x01K\x02\x93.", "not text"),
        (b"Sabc\n.", "without its quotes"),
        (b"Ix\n.", "invalid literal"),
        (b"Iabc", "not found"),
        (b"X\x01\x00\x00\x00\xff.", "decode"),
        (b"I" + b"9" * 5000 + b"\n.", "4300 digits"),
        (pickle.dumps(np.array([object()], dtype=object), 2), "wants to call|NEWOBJ|does not need|array of"),
        (pickle.dumps(np.array([1.5])), "only integers and booleans"),
        (pickle.dumps(1.5), "does not need"),
        (pickle.dumps({"a": 1}), "does not need"),
        (pickle.dumps({1}), "does not need"),
        (pickle.dumps(Path("x")), "wants to call"),
    ],
)
def test_damage_and_everything_else_is_an_error(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pickle(content)


def test_a_large_number_for_the_memo_costs_nothing() -> None:
    """CPython's own unpickler allocates an array of that length."""
    assert read_pickle(b"K\x07r\xff\xff\xff\xffj\xff\xff\xff\xff.") == 7


def test_deep_nesting_is_harmless() -> None:
    value = read_pickle(b"(" * 100_000 + b"t" * 100_000 + b".")
    assert isinstance(value, tuple)


@settings(deadline=None, max_examples=300)
@given(content=st.binary(max_size=60), data=st.data())
def test_garbage_is_an_error_or_plain_data(content: bytes, data: st.DataObject) -> None:
    valid = pickle.dumps(([b"abc", np.arange(3, dtype=np.uint8)], np.array([True])), data.draw(st.integers(0, 5)))
    at, end = sorted(data.draw(st.tuples(st.integers(0, len(valid)), st.integers(0, len(valid)))))
    for mutation in (content, valid[:at] + content + valid[end:]):
        try:
            read_pickle(mutation)
        except ValueError as error:
            assert "not a pickle of plain data" in str(error)  # noqa: PT017
