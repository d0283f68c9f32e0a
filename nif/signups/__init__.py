"""Sign-ups from public forms: queued alike, answered by the worker, held where suspicious."""
