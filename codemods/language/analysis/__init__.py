"""What the expressions of a kernel stand for; pure values and functions, no syntax trees."""
