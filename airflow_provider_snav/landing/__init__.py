"""Landing: download one export, verify it, and publish all of its files in one folder, or none."""
