"""Results as text for papers, pull requests and the summaries of CI jobs."""
