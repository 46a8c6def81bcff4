"""What a run found and did, and the formats it is printed in."""
