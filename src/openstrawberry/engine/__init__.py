"""Carries out what strategies ask for: one trace (`drive.py`), many (`pool.py`), over batch APIs (`waves.py`)."""
