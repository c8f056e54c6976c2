"""PAM, Precise Adjacent Margin Loss: its tables and figures."""
