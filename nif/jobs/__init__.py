"""What runs by itself, and how often: in the worker process only."""
