"""The command line: one thin file per command, one error hook (`app.py`), all rich output in `render.py`."""
