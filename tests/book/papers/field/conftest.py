"""Settings for the field's methods, as if they had been chosen."""

import pytest

from marginface.book.papers.field import methods


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each method the candidate in the middle."""
    for bed, scales in methods.SCALES.items():
        middle = {
            name: tuple(each[len(each) // 2] for each in (method.scales or scales, method.margins or methods.MARGINS))
            for name, method in methods.METHODS.items()
        }
        monkeypatch.setitem(methods.MATCHED, bed, middle)
