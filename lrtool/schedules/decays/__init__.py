"""Schedules that only fall, one family a file."""
