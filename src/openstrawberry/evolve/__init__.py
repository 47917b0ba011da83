"""Evolution: harder and broader problems from problems, each with an answer of its own and the evidence for it."""
