"""PAM, Precise Adjacent Margin Loss: its tables and figures."""

from marginface.book.papers.pam.figure1 import FIGURE1
from marginface.book.papers.pam.searches import FIGURE2, FIGURE3
from marginface.book.papers.pam.table1 import TABLE1
from marginface.book.papers.pam.table2 import TABLE2

ITEMS = (TABLE1, TABLE2, FIGURE1, FIGURE2, FIGURE3)
