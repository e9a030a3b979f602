"""Data that are read while they are trained on: loaders, streams, and what is drawn at random of each sample."""
