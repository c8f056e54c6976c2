"""InterFace (2022): its tables and figures."""
