"""`transfer`: the LR for a run too expensive to tune, from runs that cost little or points that are there already."""
