"""What ArcFace's Tables 2 to 6 and 8 share: rows that differ in one setting, and how two of them are compared."""

from collections.abc import Sequence

from marginface.book import published
from marginface.book.effects import Above
from marginface.book.items import Results

TESTS = ("LFW", "CFP-FP", "AgeDB-30")  # of the paper
SEEDS = range(5)  # of each row on each test bed; where a claim is undecided its page says how many would decide


def above(results: Results, row: str, over: str, tests: Sequence[str] = TESTS) -> Above:
    """The claim that a row errs less than another, over those of the tests that were made, else over all that were.

    The printed share is over the same tests.
    """
    every = results.tests
    chosen = tuple(test for test in tests if test in every) or tuple(every)
    return Above(row, over, chosen, f"{row} over {over}", _printed(results, row, over, chosen))


def _printed(results: Results, row: str, over: str, tests: tuple[str, ...]) -> float | None:
    table = published.table(results.item.paper.lower(), int(results.item.name.split()[1]))
    both = []
    for name in (row, over):
        found = [published.value(table[table.benchmark == test], results.rows[name].printed) for test in tests]
        both.append([value for value in found if value is not None])
    return published.share(*both) if len(both[0]) == len(both[1]) == len(tests) else None
