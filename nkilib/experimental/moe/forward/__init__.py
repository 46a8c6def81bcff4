"""The forward pass, with checkpoints for the backward one."""
