"""What only the book needs: recorded runs, tables and figures as descriptions, verdicts, figures."""
