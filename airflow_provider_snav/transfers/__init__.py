"""Transfers for LinkedIn Sales Navigator."""
