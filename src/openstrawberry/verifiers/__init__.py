"""From a model's text to a verdict: extraction of the answer, and the check against the truth."""
