"""Stateful stand-ins for the providers' APIs: real HTTP, real state, and every way to fail."""
