"""Context encoding: many tokens."""
