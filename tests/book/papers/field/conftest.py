"""Settings for the field's methods, as if they had been chosen."""

import pytest

from marginface.book.papers.field import methods


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each method the candidate in the middle."""
    for bed in methods.SCALES:
        middle = {name: losses[len(losses) // 2] for name, losses in methods.candidates(bed).items()}
        monkeypatch.setitem(methods.MATCHED, bed, middle)
