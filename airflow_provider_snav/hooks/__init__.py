"""Hooks for LinkedIn Sales Navigator."""
