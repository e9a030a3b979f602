"""Plots, one figure a file: data first, drawing after."""
