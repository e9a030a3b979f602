"""What is printed: progress, tables, curves in text."""
