"""A Sales Navigator that runs on your laptop, as strict as LinkedIn's documents.

It shares no code with the rest of the package except the table of columns in ``api/schemas.py``. So a mistake
in one part is not repeated in the other.
"""
