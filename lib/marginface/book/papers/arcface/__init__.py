"""ArcFace (arXiv v1 of 2018): its tables and figures."""
