"""What people look at: plots, terminal drawings, progress. Reads run folders and plain data, never torch."""
