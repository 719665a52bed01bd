"""From episodes to accuracy, intervals and result files."""
