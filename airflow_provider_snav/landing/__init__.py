"""One export into one folder: names, a verified stream, and publication of all files or none."""
