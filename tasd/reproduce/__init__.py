"""Reproduction of the paper's tables: train and test each of their rows, and compare."""
