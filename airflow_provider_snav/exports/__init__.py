"""One export as a state machine, pure: no Airflow, no I/O, no clock and no sleep."""
