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

PACKAGE = ROOT / "airflow_sm_rollout"
# What a DAG's author names, and where its options stand. All else is for who reads the code, and would make each page's menu long.
PUBLIC = (
    "operators/",
    "sensors/",
    "core/plan/",
    "core/approval.py",
    "core/errors.py",
    "core/rollout.py",
    "hooks/",
    "live.py",
    "task_groups.py",
)


def is_public(module: Path) -> bool:
    """Whether the reference tells of a module; of a package, whether it holds one that it tells of."""
    path = module.relative_to(PACKAGE).as_posix()
    if module.name == "__init__.py":
        path = path.removesuffix("__init__.py")
        return any(each.startswith(path) for each in PUBLIC) or path.startswith(PUBLIC)
    return path.startswith(PUBLIC)


autoapi_dirs = [str(PACKAGE)]
autoapi_ignore = [str(module) for module in PACKAGE.rglob("*.py") if not is_public(module)]
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
