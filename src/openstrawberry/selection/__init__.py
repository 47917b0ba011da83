"""From traces to training data: how hard each problem is, which traces teach, and what must stay out."""
