"""Where a trial's batches come from while it trains, and what of that a checkpoint must hold.

Batches that are drawn here are a pure function of seed and number: nothing need be kept. A user's loader that has its
own order is read on from where it was.
"""
