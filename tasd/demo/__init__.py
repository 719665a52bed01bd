"""A small data set of moving shapes, and a run of the whole pipeline on it."""
