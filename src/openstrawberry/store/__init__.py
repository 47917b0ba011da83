"""The run directory: what was said, what was asked, and how to go on after a crash."""
