"""The numbered equations, computed, and what their papers say of them."""
