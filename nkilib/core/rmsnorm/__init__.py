"""RMSNorm with quantisation."""
