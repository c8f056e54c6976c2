"""IAM, Inter-class Angular Margin Loss: its tables and figures."""

from marginface.book.papers.iam.betas import TABLE3, TABLE4
from marginface.book.papers.iam.figure1 import FIGURE1
from marginface.book.papers.iam.gradients import GRADIENTS
from marginface.book.papers.iam.mnist import FIGURE2, TABLE1, TABLE2
from marginface.book.papers.iam.table5 import TABLE5, TABLE6

ITEMS = (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, FIGURE1, FIGURE2, GRADIENTS)
