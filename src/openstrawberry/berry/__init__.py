"""berry, the embedded language model: its files (`model/`), the recipe that made them, and its card (`README.md`)."""
