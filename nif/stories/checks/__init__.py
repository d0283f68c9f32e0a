"""The named checks that stand between a story and its readers."""
