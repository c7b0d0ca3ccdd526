"""One process, one file: its parameters, its state, its formulas, one `step`. Processes do not import each other."""
