"""The three pages: ask and watch, look through runs, compare.

Not called `pages`: streamlit would run each file of a folder of that name beside its script by itself.
"""
