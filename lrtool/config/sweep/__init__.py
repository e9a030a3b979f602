"""The config of a sweep, and the trials that it asks for."""
