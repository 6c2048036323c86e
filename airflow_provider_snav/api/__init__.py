"""Sales Navigator in pure Python: what to ask, what the answers mean, what to do next.

Nothing in this package imports Airflow, opens a socket, reads a clock or sleeps. Hooks, operators and the
trigger drive it.
"""
