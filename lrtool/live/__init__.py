"""A user's own objects in his own process: tested where they are, and left as they were."""
