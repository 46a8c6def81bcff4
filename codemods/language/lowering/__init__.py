"""Which instructions an operation of the former language becomes; one module for one family."""
