"""What kernels share, at the import paths of release 2.28; import from the modules."""
