"""How Sphinx builds these pages; ``make docs`` does."""

import os
from pathlib import Path

from airflow_provider_snav import __version__

# The reference imports Airflow, which writes its settings into its home: not into the reader's own.
os.environ["AIRFLOW_HOME"] = str(Path(__file__).resolve().parent.parent / "build" / "airflow")

project = "airflow-provider-snav"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"LinkedIn Sales Navigator for Airflow {release}"
html_show_copyright = False
# So that a line of 97 characters, the longest import, fits the column.
html_theme_options = {"light_css_variables": {"code-font-size": "76%"}}

# The anchors that links and error messages name are the ones GitHub gives a heading.
myst_heading_anchors = 3

# The reference shows what the package writes down: its own docstrings, in the order of its modules.
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 88
