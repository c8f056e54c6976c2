"""The tables and figures of the papers, one folder a paper, as items: each folder's `ITEMS`."""

from collections.abc import Collection, Sequence
from importlib import import_module
from pkgutil import iter_modules

from marginface.book.items import Item
from marginface.training import Recipe

FIRST = ("interface", "arcface", "iam", "pam")  # the others follow by name


def discover() -> tuple[Item, ...]:
    """The items of every folder here."""
    names = {module.name for module in iter_modules(__path__) if module.ispkg}
    return tuple(item for name in (*FIRST, *sorted(names - {*FIRST})) for item in import_module(f"{__name__}.{name}").ITEMS)


ITEMS: tuple[Item, ...] = discover()


def find(paper: str, name: str) -> Item | None:
    """An item by its paper and name, such as "ArcFace" and "Table 7"; None for one without a page."""
    return next((item for item in ITEMS if (item.paper, item.name) == (paper, name)), None)


def grids() -> dict[str, list[Recipe]]:
    """The recorded runs of every notebook that has any."""
    found: dict[str, list[Recipe]] = {}
    for item in ITEMS:
        if recipes := item.grid():
            found[item.notebook] = list(dict.fromkeys([*found.get(item.notebook, []), *recipes]))
    return found


def by_worth(notebooks: Collection[str], seeds: Sequence[int] | None = None) -> list[Recipe]:
    """The recipes of these notebooks' runs, the first seed of every row before further seeds.

    Arguments:
        seeds: None stands for those that each page shows.
    """
    asked = [(item, list(item.seeds if seeds is None else seeds)) for item in ITEMS if item.notebook in notebooks]
    rounds = max((len(own) for _, own in asked), default=0)
    return list(dict.fromkeys(r for nth in range(rounds) for item, own in asked for r in item.grid(own[nth : nth + 1])))
