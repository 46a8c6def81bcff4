"""nkimigrate takes code that uses the AWS Neuron NKI Library from one release to the next."""

__version__ = "0.1.0"
