"""New Industry Focus: an independent newsroom and its newsletters."""
