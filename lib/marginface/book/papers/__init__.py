"""The tables and figures of the papers, one folder a paper, as items: each folder's `ITEMS`."""

from collections.abc import Collection, Sequence
from importlib import import_module
from itertools import zip_longest
from pkgutil import iter_modules

from marginface.book.items import Item
from marginface.book.papers import bases, faces, glyphs
from marginface.book.papers.field import methods
from marginface.training import Recipe

NONE: list[Recipe] = []
FIRST = ("interface", "arcface", "iam", "pam")  # the others follow by name


def discover() -> tuple[Item, ...]:
    """The items of every folder here."""
    names = {module.name for module in iter_modules(__path__) if module.ispkg}
    return tuple(item for name in (*FIRST, *sorted(names - {*FIRST})) for item in import_module(f"{__name__}.{name}").ITEMS)


ITEMS: tuple[Item, ...] = discover()


def find(paper: str, name: str) -> Item | None:
    """An item by its paper and name, such as "ArcFace" and "Table 7"; None for one without a page."""
    return next((item for item in ITEMS if (item.paper, item.name) == (paper, name)), None)


def rounds(seeds: Sequence[int] | None = None) -> dict[str, list[list[Recipe]]]:
    """The recorded runs of every page that has any: with the first seed on each test bed, then with the next.

    Arguments: seeds: None stands for those that each page shows.
    """
    found: dict[str, list[list[Recipe]]] = {"faces": faces.choices(seeds), "glyphs": glyphs.choices(seeds)}
    found |= bases.choices(seeds) | methods.choices(seeds)
    for item in ITEMS:
        if any(own := item.rounds(seeds)):
            before = found.get(item.notebook, [])
            found[item.notebook] = [one + other for one, other in zip_longest(before, own, fillvalue=NONE)]
    return found


def grids() -> dict[str, list[Recipe]]:
    """The same, page by page."""
    return {page: [*dict.fromkeys(recipe for each in own for recipe in each)] for page, own in rounds().items()}


def reads() -> dict[Recipe, tuple[str, ...] | None]:
    """Of every recorded run which arrays its pages read, for `records.pack`."""
    found: dict[Recipe, tuple[str, ...] | None] = dict.fromkeys(recipe for own in grids().values() for recipe in own)
    for item in ITEMS:
        for recipe in item.grid():
            found[recipe] = tuple(dict.fromkeys((*(found[recipe] or ()), *item.reads)))
    return found


def by_worth(pages: Collection[str], seeds: Sequence[int] | None = None) -> list[Recipe]:
    """The recipes of these pages' runs, the first seed of every row before further seeds."""
    chosen = [own for page, own in rounds(seeds).items() if page in pages]
    return list(dict.fromkeys(recipe for each in zip_longest(*chosen, fillvalue=NONE) for own in each for recipe in own))
