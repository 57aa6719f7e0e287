"""Each client with an environment of its own, made by uv or npm below ``build/`` and kept there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[2] / "build" / "clients"
UV = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))))


@dataclass(frozen=True)
class Client:
    """A client of the sandbox's.

    :param script: what walks it through the steps, beside this file.
    :param packages: what its environment has, with versions.
    :param lacks: steps that it has no call for.
    """

    script: str
    packages: tuple[str, ...]
    lacks: frozenset[str] = frozenset()

    @property
    def directory(self) -> Path:
        """Where its environment is: another one for each set of packages."""
        return CACHE / "-".join(self.packages[:1]).replace("/", "-").lstrip("@")

    def version(self) -> str:
        """That of the package that it is."""
        return self.packages[0].rpartition("==")[2].rpartition("@")[2]

    def command(self, scripts: Path) -> list[str]:
        """The command line of its script; makes its environment first.

        :raises subprocess.CalledProcessError: if that can't be made.
        """
        raise NotImplementedError


class PythonClient(Client):
    """A library from PyPI."""

    def command(self, scripts: Path) -> list[str]:
        """See :meth:`Client.command`."""
        return [str(self._bin() / "python"), str(scripts / self.script)]

    def _bin(self) -> Path:
        done = self.directory / ".made"
        if not done.exists():
            assert UV, "uv is not installed; it comes with pip install -e '.[dev]'"
            run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(self.directory)])
            run([UV, "pip", "install", "--quiet", "--python", str(self.directory), *self.packages])
            done.touch()
        return self.directory / "bin"


class CommandClient(PythonClient):
    """A command from PyPI, driven by a script that needs no other library."""

    def command(self, scripts: Path) -> list[str]:
        """See :meth:`Client.command`."""
        return [sys.executable, str(scripts / self.script), str(self._bin() / "aws")]


class DebianCommand(Client):
    """A command from Debian's packages, which is installed where it is missing."""

    def command(self, scripts: Path) -> list[str]:
        """See :meth:`Client.command`."""
        command = Path("/usr/bin/aws")
        if not command.exists():
            sudo = [] if os.geteuid() == 0 else ["sudo"]
            run([*sudo, "apt-get", "update", "-qq"])
            run([*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *self.packages])
        return [sys.executable, str(scripts / self.script), str(command)]

    def version(self) -> str:
        """What is installed: Debian says which."""
        asked = ["dpkg-query", "--show", "--showformat=${Version}", self.packages[0]]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout or "(not installed)"


class NodeClient(Client):
    """Packages from npm."""

    def command(self, scripts: Path) -> list[str]:
        """See :meth:`Client.command`."""
        done = self.directory / ".made"
        if not done.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / "package.json").write_text(json.dumps({"type": "module", "private": True}))
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", *self.packages], self.directory)
            done.touch()
        return ["node", shutil.copy(scripts / self.script, self.directory)]


def run(command: list[str], directory: Path | None = None) -> None:
    """Run what makes an environment, silently unless it fails."""
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL, timeout=600)


SDK_LACKS = frozenset({"weights", "metrics", "alarm"})
CLIENTS: Mapping[str, Client] = {
    "cli-1": CommandClient("steps_of_cli.py", ("awscli==1.46.3",)),
    "cli-2": DebianCommand("steps_of_cli.py", ("awscli",)),
    "javascript-3": NodeClient(
        "steps_of_javascript.mjs",
        (
            "@aws-sdk/client-sagemaker@3.1142.0",
            "@aws-sdk/client-sagemaker-runtime@3.1164.0",
            "@aws-sdk/client-cloudwatch@3.1164.0",
        ),
    ),
    "aioboto3": PythonClient("steps_of_aioboto3.py", ("aioboto3==15.5.0",)),
    "sagemaker-2": PythonClient("steps_of_sagemaker_2.py", ("sagemaker==2.257.7",), SDK_LACKS),
    "sagemaker-3": PythonClient("steps_of_sagemaker_3.py", ("sagemaker==3.27.0",), SDK_LACKS),
    "sagemaker-core": PythonClient(
        "steps_of_sagemaker_core.py", ("sagemaker-core==2.27.0",), frozenset({"metrics", "alarm"})
    ),
}
