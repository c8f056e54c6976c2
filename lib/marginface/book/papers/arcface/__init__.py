"""ArcFace (arXiv v1 of 2018): its tables and figures."""

from marginface.book.papers.arcface.curves import FIGURE3, TABLE1
from marginface.book.papers.arcface.figure1 import FIGURE1
from marginface.book.papers.arcface.figure2 import FIGURE2
from marginface.book.papers.arcface.figure4 import FIGURE4
from marginface.book.papers.arcface.figure7 import FIGURE7
from marginface.book.papers.arcface.megaface import FIGURE8, TABLE9, TABLE10
from marginface.book.papers.arcface.networks import TABLE2, TABLE3, TABLE4
from marginface.book.papers.arcface.noise import FIGURE5, FIGURE6
from marginface.book.papers.arcface.table7 import TABLE7
from marginface.book.papers.arcface.table8 import TABLE8
from marginface.book.papers.arcface.table11 import TABLE11
from marginface.book.papers.arcface.values import TABLE5, TABLE6

ITEMS = (
    TABLE1,
    TABLE2,
    TABLE3,
    TABLE4,
    TABLE5,
    TABLE6,
    TABLE7,
    TABLE8,
    TABLE9,
    TABLE10,
    TABLE11,
    FIGURE1,
    FIGURE2,
    FIGURE3,
    FIGURE4,
    FIGURE5,
    FIGURE6,
    FIGURE7,
    FIGURE8,
)
