"""One pass of a network over the videos of a store, into a feature file."""
