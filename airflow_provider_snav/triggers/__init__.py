"""Triggers for LinkedIn Sales Navigator."""
