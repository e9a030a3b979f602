"""What people see of a transfer: the law in words, and the plot of all that was measured."""
