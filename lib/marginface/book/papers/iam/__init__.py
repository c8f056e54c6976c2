"""IAM, Inter-class Angular Margin Loss: its tables and figures."""
