"""What a notebook can be asked for, and what it refuses."""

from types import SimpleNamespace

import pytest
from IPython.core import getipython

from marginface.book.parameters import OneOf, as_seeds, check_page, injected, read, settings

DEFAULTS = {"alpha": 0.1, "a": (0.1, 0.2), "epochs": 10, "data": "lfw", "sign": OneOf(("paper", "released"))}


def ask(**given: object) -> SimpleNamespace:
    return settings("book", DEFAULTS, given, ("profile", "seeds"))


def test_defaults_and_what_is_given() -> None:
    assert ask() == SimpleNamespace(profile="book", alpha=0.1, a=(0.1, 0.2), epochs=10, data="lfw", sign="paper")
    assert ask(alpha=1, sign="released").alpha == 1


@pytest.mark.parametrize("values", [(0.1, 0.2), [0.1, 0.2], "[0.1, 0.2]"])
def test_a_list_as_a_notebook_gets_it(values: object) -> None:
    assert ask(a=values).a == (0.1, 0.2)
    assert ask(a=0.1).a == ask(a="0.1").a == (0.1,)


@pytest.mark.parametrize("values", ["a lot", [], [0.1, 0.1], "[0.1, null]", "[NaN]", {"a": 1}, None, [True]])
def test_other_lists_are_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r"a=.* is not a list of different numbers"):
        ask(a=values)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": "0.1x"}, "alpha='0.1x' is not a finite number such as 0.1"),
        ({"alpha": float("nan")}, "alpha=nan is not a finite number"),
        ({"alpha": True}, "alpha=True"),
        ({"epochs": 2.5}, "epochs=2.5 is not a whole number such as 10"),
        ({"data": 3}, "data=3 is not text"),
        ({"sign": "opposite"}, "sign='opposite' is none of 'paper', 'released'"),
        ({"alhpa": 0.1}, "there is no parameter 'alhpa' here; did you mean 'alpha'?"),
        ({"zzz": 0.1}, "there is no parameter 'zzz' here"),
    ],
)
def test_what_makes_no_sense_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", "[?]")):
        ask(**given)


def test_unknown_profiles_are_named() -> None:
    with pytest.raises(ValueError, match="unknown profile 'fast'; known: book, smoke, paper"):
        settings("fast", {}, {}, ())


@pytest.mark.parametrize("seeds", ["all", "[0, -1]", "[]", "{}", [0.5], None, [1, 1], [True]])
def test_bad_seeds_are_named(seeds: object) -> None:
    with pytest.raises(ValueError, match="seeds="):
        as_seeds(seeds)


def test_seeds_come_as_a_list_or_as_papermill_hands_them_over() -> None:
    assert as_seeds([0, 3]) == as_seeds("[0, 3]") == [0, 3]


def test_a_name_that_only_papermill_was_given_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Papermill sets any name in a cell of its own; a person's own variables are no concern of ours."""
    cells = ["", "alpha = 0.1", "# Parameters\nalhpa = 0.2\n", "mine = 3"]
    monkeypatch.setattr(getipython, "get_ipython", lambda: SimpleNamespace(user_ns={"In": cells}))
    assert injected() == ["alhpa"]
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        ask()
    with pytest.raises(ValueError, match="there is no parameter 'alhpa'"):
        check_page("book", angles=[1])


def test_a_list_keeps_whole_numbers() -> None:
    assert read("b", (10, 20), [10, 2.5]) == (10, 2.5)
