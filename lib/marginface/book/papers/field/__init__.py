"""The losses that the four papers compare with, on one bench. It is no paper's, and has no numbered table."""

from marginface.book.papers.field.bench import BENCH, PRINTED
from marginface.book.papers.field.spoiled import SPOILED_SETS

ITEMS = (BENCH, PRINTED, SPOILED_SETS)
