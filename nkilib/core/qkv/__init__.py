"""Normalisation, QKV projection and rotary embedding in one kernel."""
