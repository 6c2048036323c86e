"""Operators for LinkedIn Sales Navigator."""
