"""A small data set of moving shapes, and the whole pipeline run on it."""
