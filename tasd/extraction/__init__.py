"""One pass of a network over the videos of a store, and the features that it outputs."""
