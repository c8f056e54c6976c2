"""ArcFace (arXiv v1 of 2018): its tables and figures."""

from marginface.book.papers.arcface.curves import FIGURE3, FIGURE4, TABLE1
from marginface.book.papers.arcface.figure2 import FIGURE2
from marginface.book.papers.arcface.table7 import TABLE7

ITEMS = (TABLE1, TABLE7, FIGURE2, FIGURE3, FIGURE4)
