"""What the four papers' printed numbers can and cannot say. One module a page, some with others for their claims."""
