"""The report: one HTML file that shows any mix of runs and works offline."""
