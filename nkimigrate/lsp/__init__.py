"""A language server: findings as diagnostics, with quick fixes, and the rules' documentation on hover."""
