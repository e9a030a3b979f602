"""The Python API: a function for each command, on configs and on a user's own objects; results to look at and keep."""
