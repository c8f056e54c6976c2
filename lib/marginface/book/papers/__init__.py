"""The tables and figures of the four papers, one folder a paper, as items."""

from marginface.book.items import Item
from marginface.book.papers import arcface, iam, interface, pam
from marginface.training import Recipe

ITEMS: tuple[Item, ...] = (*interface.ITEMS, *arcface.ITEMS, *iam.ITEMS, *pam.ITEMS)


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
