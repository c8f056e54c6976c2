"""InterFace (2022): its tables and figures."""

from marginface.book.papers.interface.benchmarks import TABLE6, TABLE7, TABLE8
from marginface.book.papers.interface.figure1 import FIGURE1
from marginface.book.papers.interface.figure2 import FIGURE2
from marginface.book.papers.interface.scales import SCALES
from marginface.book.papers.interface.selection import TABLE2, TABLE3, TABLE4, TABLE5
from marginface.book.papers.interface.sign import SIGN
from marginface.book.papers.interface.table1 import TABLE1

ITEMS = (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE7, TABLE8, SCALES, SIGN, FIGURE1, FIGURE2)
