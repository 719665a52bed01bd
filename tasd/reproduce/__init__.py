"""The tables of the paper, run by run: what they compare, doing it, and telling it."""
