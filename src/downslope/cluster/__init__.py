"""The same training on many machines: workers own the rows, sums come back, and a worker that is lost is replaced."""
