"""Algorithms of reasoning. One file each, free of any input or output; see `strategy.py` for the contract."""
