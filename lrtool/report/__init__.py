"""Plots, tables and progress. Data first, drawing after."""
