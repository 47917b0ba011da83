"""The loop: sample, select, train, measure, accept or reject, climb, again."""
