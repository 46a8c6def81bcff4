"""Which experts tokens go to."""
