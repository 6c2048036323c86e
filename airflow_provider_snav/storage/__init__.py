"""Files on any store. A file becomes visible complete, or not at all. Nothing here is about LinkedIn."""
