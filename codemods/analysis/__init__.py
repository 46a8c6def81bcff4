"""What a file's names mean, found on :mod:`ast` alone: scopes, values, and a project-wide index."""
