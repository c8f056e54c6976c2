"""Margin losses for face recognition, and what is needed to rerun the papers that proposed them.

Read in this order: `reference` (every equation as printed), `margins` (where each loss puts its margin), `heads` (the
loss a network trains with), `training` (one recipe in, one run out), `runs` (recorded runs), `papers` (one module a
paper: its tables, figures and claims).
"""

__version__ = "0.1.0"
