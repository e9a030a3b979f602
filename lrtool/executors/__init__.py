"""Who does the jobs of a sweep: this process, or several of this machine."""
