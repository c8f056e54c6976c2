"""What the four papers' printed numbers can and cannot say. One module a page of the audit."""
