"""The guardian as an archive for AWS Lambda: this package's modules that it needs, and no others. boto3 is Lambda's own."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

HANDLER = "airflow_sm_rollout.guardian.handler.handler"
_ROOT = Path(__file__).parent.parent
_LAYERS = ("core", "aws", "guardian")
_DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that the same version gives the same archive


def build_archive() -> bytes:
    """The ZIP archive's bytes."""
    modules = [_ROOT / "__init__.py", *(each for layer in _LAYERS for each in (_ROOT / layer).rglob("*.py"))]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in sorted(modules):
            member = zipfile.ZipInfo(str(module.relative_to(_ROOT.parent)), _DATE)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, module.read_bytes())
    return written.getvalue()
