"""The loss terms: unweighted scalars, and the modules that some of them own."""
