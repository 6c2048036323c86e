"""One export as a state machine. Pure: no Airflow, no I/O, no clock and no sleep."""
