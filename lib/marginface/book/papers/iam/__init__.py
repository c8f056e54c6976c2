"""IAM, Inter-class Angular Margin Loss: its tables and figures."""

from marginface.book.papers.iam.gradients import GRADIENTS
from marginface.book.papers.iam.mnist import FIGURE2, TABLE1, TABLE2

ITEMS = (TABLE1, TABLE2, FIGURE2, GRADIENTS)
