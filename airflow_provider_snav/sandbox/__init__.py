"""A Sales Navigator that runs on your laptop, as strict as LinkedIn's documents."""
