"""A Sales Navigator that runs on your laptop, as strict as LinkedIn's documents.

It shares no code with the rest of the package: a mistake made on one side is not made on both.
"""
