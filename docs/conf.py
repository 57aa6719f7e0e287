"""How `make docs` makes the site of these pages and of the package's docstrings. Nothing is imported but the list of public names."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from airflow_sm_rollout import __version__  # noqa: E402 - from this checkout

project = "airflow-sm-rollout"
release = __version__
copyright = "the authors of airflow-sm-rollout"  # noqa: A001 - Sphinx's name for it

extensions = ["myst_parser", "autoapi.extension"]
exclude_patterns = ["requirements.txt"]
html_extra_path = ["status.schema.json", "live-pointer.schema.json", "live-endpoint.mjs"]
nitpicky = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autoapi_dirs = [str(ROOT / "airflow_sm_rollout")]
autoapi_ignore = ["*/sandbox/*", "*/demo/*", "*/plugin/*", "*/pytest_plugin.py", "*/provider_info.py"]
autoapi_options = ["members", "undoc-members", "show-inheritance", "show-module-summary"]
autoapi_root = "api"
autoapi_add_toctree_entry = False
autoapi_keep_files = False
autodoc_typehints = "none"
# Imports from what is left out above.
suppress_warnings = ["autoapi.python_import_resolution"]

html_theme = "furo"
html_title = "airflow-sm-rollout"
html_copy_source = False
html_show_sphinx = False
