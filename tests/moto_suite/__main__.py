"""Fetch moto's source distribution in the version that is installed, and run its tests against the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

Change = Callable[[re.Match[str]], str]
HERE = Path(__file__).parent
TESTED = (
    *(
        f"tests/test_sagemaker/test_sagemaker_{name}.py"
        for name in ("endpoint", "models", "training", "model_packages", "model_package_groups", "search")
    ),
    "tests/test_cloudwatch",
    "tests/test_ssm",
    "tests/test_applicationautoscaling",
)
PIP = (sys.executable, "-m", "pip")
NEEDED = ("freezegun",)
LEFT_OUT = ("cloudformation", "ec2_integration", "expression_parser", "ssm_utils")
"""Words of files whose tests are of another service, or of moto's own functions."""


IN_LOWER_CASE: Change = lambda found: found[0].lower()  # noqa: E731
WITH_HYPHENS: Change = lambda found: found[0].replace("_", "-")  # noqa: E731
ROLE = "arn:aws:iam::123456789012:role/"
ADAPTED: tuple[tuple[str, str, str | Change], ...] = (
    ("endpoint", r"\b(My|Other)[A-Z]\w+", IN_LOWER_CASE),
    ("models", r"arn:aws:sagemaker:[\w-]*:0*:x-x/", ROLE),
    ("models", r"VpcConfig=vpc_config", 'PrimaryContainer={"Image": "i:1"}, VpcConfig=vpc_config'),
    ("models", r'"MyModelName"', IN_LOWER_CASE),
    ("training", r"arn:aws:sagemaker:[\w-]*:0*:x-x/", ROLE),
    ("training", r'"MyTrainingJob"', IN_LOWER_CASE),
    ("search", r'"\w*_name"|_(DEV|PROD)', WITH_HYPHENS),
)
"""What AWS would refuse, or write otherwise, before it comes to what a test is about: by file, an expression and what takes its place.
SageMaker writes a name in lower case in an ARN, a role's ARN is IAM's, a model has an image, and a name has no underscore.
"""


def adapt(tree: Path) -> None:
    """Change moto's tests as :data:`ADAPTED` has it."""
    for name, expression, instead in ADAPTED:
        file = tree / f"tests/test_sagemaker/test_sagemaker_{name}.py"
        text, changes = re.subn(expression, instead, file.read_text())
        assert changes, f"{file.name} has nothing like {expression} to adapt"
        file.write_text(text)


def fetch(directory: Path) -> Path:
    """moto's source tree, unpacked below a directory."""
    release = f"moto=={version('moto')}"
    subprocess.run(
        [*PIP, "download", "-q", "--no-deps", "--no-binary", "moto", release, "-d", str(directory)], check=True
    )
    [archive] = directory.glob("moto-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(directory, filter="data")
    tree = directory / archive.name.removesuffix(".tar.gz")
    adapt(tree)
    return tree


def files_of(tree: Path) -> list[str]:
    """The test files to run, as paths in moto's tree."""
    every = [
        file for path in TESTED for file in ([tree / path] if path.endswith(".py") else (tree / path).glob("test_*.py"))
    ]
    return sorted(str(file.relative_to(tree)) for file in every if not any(word in file.name for word in LEFT_OUT))


def run(tree: Path, beside: Path, arguments: list[str]) -> int:
    """pytest's exit code.

    :param beside: a directory with the modules that moto's tests need and we do not have.
    """
    environment = {
        **os.environ,
        "TEST_SERVER_MODE": "true",
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1], beside))),
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plugin", "-p", "no:cacheprovider", "--color=no"]
    return subprocess.run([*command, *(arguments or files_of(tree))], cwd=tree, env=environment, check=False).returncode


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        needed = Path(temporary, "needed")
        subprocess.run([*PIP, "install", "-q", "--no-deps", "--target", str(needed), *NEEDED], check=True)
        sys.exit(run(fetch(Path(temporary)), needed, sys.argv[1:]))
