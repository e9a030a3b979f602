"""Searches, one a file: asked which trials to train, told their losses."""
