"""Data sets: where they are, how they are read, and how one knows that they are the right ones."""
