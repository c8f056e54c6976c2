"""PAM, Precise Adjacent Margin Loss: its tables and figures."""

from marginface.book.papers.pam.figure1 import FIGURE1

ITEMS = (FIGURE1,)
