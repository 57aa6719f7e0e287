"""Completion in shells, by argcomplete, which comes with Airflow."""

from __future__ import annotations

import argparse
import os

from airflow_sm_rollout.cli_ends import CommandFailed

SHELLS = ("bash", "zsh", "fish")


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks how the command line may go on; otherwise nothing."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def print_completion(options: argparse.Namespace) -> None:
    """The command ``completion``: what a shell has to run once."""
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError as error:
        raise CommandFailed(
            "argcomplete is not installed; it comes with Airflow, or by pip install argcomplete"
        ) from error
    shell = "bash" if options.shell == "zsh" else options.shell  # one script is for both
    print(shellcode(["sm-rollout"], shell=shell))
