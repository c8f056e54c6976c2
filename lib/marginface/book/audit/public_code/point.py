"""A point on which a paper and public code are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A paper and public code on one point, in words, and what a computation makes of it.

    same: whether they agree; None where the paper does not say.
    """

    topic: str
    paper: str
    code: str
    same: bool | None
    example: str
