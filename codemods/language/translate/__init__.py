"""Walks the statements of a kernel and writes the new ones."""
