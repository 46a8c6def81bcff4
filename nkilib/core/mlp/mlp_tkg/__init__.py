"""Token generation: few tokens."""
