"""Drives the real binary from outside: its process, its clients, its backends."""
