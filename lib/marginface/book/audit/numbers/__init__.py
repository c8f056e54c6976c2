"""What the printed numbers can and cannot say."""
