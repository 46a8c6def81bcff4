"""What the language step does, one module for one kind of change: a code and its documentation."""
