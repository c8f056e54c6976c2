"""Counts and largest scores of a stream are those of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marginface.evaluation import sieve
from marginface.evaluation.sieve import Sieve, products
from marginface.evaluation.verification import unit

FLOATS = st.one_of(st.sampled_from([-0.0, 0.0, 2.0**-149, -(2.0**-149), 0.5, -0.5, 1.0, -1.0]), st.floats(-1, 1, width=32))


@given(st.data())
@settings(deadline=None)
def test_a_stream_gives_what_the_whole_would(data: st.DataObject) -> None:
    rows, depth, keep = (data.draw(st.integers(low, high)) for low, high in [(1, 6), (1, 9), (0, 12)])
    row = np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=8)), dtype=np.int64)
    thresholds = data.draw(hnp.arrays(np.float32, len(row), elements=FLOATS))
    widths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    elements = st.one_of(FLOATS, st.just(-np.inf))
    blocks = [data.draw(hnp.arrays(np.float32, (rows, width), elements=elements)) for width in widths]
    streamed = Sieve(row, thresholds, rows, depth, keep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve, "PART_SCORES", 16)
        for block in blocks:
            streamed.sift(block)
    whole = np.concatenate(blocks, axis=1)
    expected = [np.sum(whole[r] >= t) for r, t in zip(row, thresholds, strict=True)]
    np.testing.assert_array_equal(streamed.counts(), np.minimum(expected, depth))
    finite = np.sort(whole[whole > -np.inf])[::-1]
    np.testing.assert_array_equal(streamed.largest_scores(), finite[:keep])


def test_what_cannot_matter_any_more_is_passed_over() -> None:
    """Once a count has reached the depth and enough large scores are kept, the bar rises to what is still open."""
    streamed = Sieve(np.array([0, 0]), np.array([0.1, 0.9], dtype=np.float32), rows=1, depth=3, keep=2)
    streamed.sift(np.full((1, 2**17), 0.5, dtype=np.float32))
    assert (streamed.lowest[0], streamed.least) == (np.float32(0.9), 0.5)


def test_products_are_cosines_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "BLOCK_SCORES", 30 * 2000)
    numbers = np.random.default_rng(0)
    x, y = unit(numbers.normal(size=(30, 7)).astype(np.float32)), numbers.normal(size=(7000, 7))
    blocks = [(start, scores.copy()) for start, scores in products(x, y, "y")]
    assert [start for start, _ in blocks] == [0, 1024, 3024, 5024]
    np.testing.assert_allclose(np.concatenate([scores for _, scores in blocks], axis=1), x @ unit(y).T, atol=3e-7)
    assert list(products(x, y[:0], "y")) == []
