"""Tracking: what a command tells its loggers, in words that all of them share."""
