"""The folder of a run, its checkpoints, and the store that it was trained on."""
