"""The largest element of each row."""
