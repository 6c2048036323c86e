"""Sales Navigator's API in pure Python: the requests, the meaning of the answers, and the retries.

No module here imports Airflow, opens a socket, reads a clock or sleeps. The hooks run this code.
"""
