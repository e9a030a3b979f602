"""What a sweep keeps on disk: every trial in one SQLite file, and tables of them for people."""
