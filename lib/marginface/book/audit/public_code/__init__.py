"""Where the papers and the public code differ."""
