"""Sensors for LinkedIn Sales Navigator."""
