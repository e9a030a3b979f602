"""Statistics of trials: intervals, paired differences, how many seeds are needed."""
