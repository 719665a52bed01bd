"""Preparation of videos: find, decode and check them, and write them to a store."""
