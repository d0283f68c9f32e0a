"""The worker process: the periodic jobs, and what wakes them."""
