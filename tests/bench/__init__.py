"""The benchmark: `python -m tests.bench`. What is measured and why stands in `__main__`."""
