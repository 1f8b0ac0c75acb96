"""One folder a container; `__main__` is the composition root and nothing else."""
