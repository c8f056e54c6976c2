"""The audit: what the papers' printed numbers, sentences and equations can and cannot say. One module a notebook."""
