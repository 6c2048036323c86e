"""Files that appear whole or not at all, on any store; nothing here is about LinkedIn."""
