"""Measuring: methods side by side on the same problems, with intervals and paired tests."""
