"""Airflow provider for LinkedIn Sales Navigator."""

__version__ = "0.1.0"
