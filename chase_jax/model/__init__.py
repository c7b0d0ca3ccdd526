"""The only place that knows all processes: containers, the daily step, the run, the budget."""
