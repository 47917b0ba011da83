"""Numbers about runs, with intervals around them."""
