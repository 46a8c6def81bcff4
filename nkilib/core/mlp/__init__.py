"""The MLP of a transformer layer, for token generation and context encoding."""
