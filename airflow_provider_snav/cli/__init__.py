"""Sales Navigator from the command line, without a DAG."""
