"""What the transfer is made of: names, a verified stream, and files that appear whole or not at all."""
