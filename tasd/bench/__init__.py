"""Benchmarks that measure this machine beside the usual ways of the field."""
