"""Airflow provider for LinkedIn Sales Navigator."""

__version__ = "0.2.0"
