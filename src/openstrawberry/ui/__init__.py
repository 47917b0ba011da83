"""How traces are looked at: the same reading of a trace for the terminal, the HTML report and the page."""
