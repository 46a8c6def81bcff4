"""The experts of a mixture for token generation."""
