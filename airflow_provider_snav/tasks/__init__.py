"""The code that operators, sensors, triggers and transfers share. DAG authors import nothing from here."""
