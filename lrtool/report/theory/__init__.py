"""What theory says, for people and scripts: reads run folders and tables, gives rows, words and plots."""
