"""Jobs on a cluster that Slurm manages: submission, the queue, and what runs on a node. Imports no torch."""
