"""The three pages: ask and watch, look through runs, compare."""
