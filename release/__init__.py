"""What a maintainer needs to release a version; nothing of it is part of the package."""
