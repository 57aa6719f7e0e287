"""The tests on each Airflow that is supported; ``make matrix`` runs them all.

Each environment of ``tests/matrix`` pins all that this package, its sandbox and its tests take on one Airflow.
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = {
    "airflow-3.1-oldest": "3.10",
    "airflow-3.1": "3.12",
    "airflow-3.2": "3.13",
    "airflow-3.3": "3.13",
    "mwaa-3.2.1": "3.12",
    "mwaa-3.3.1": "3.12",
}
# What depends on Airflow, or on the botocore that came with it. All else is the same everywhere, and make test runs it.
UNIT = (
    "tests/core",
    "tests/operators",
    "tests/plugin",
    "tests/evidence",
    "tests/live",
    "tests/convergence/test_iam.py",
)
SMOKE = ("tests/demo/test_demo_endpoints.py",)

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_existing_virtualenvs = True


def install(session: nox.Session, environment: str) -> None:
    """This checkout, and what its environment pins."""
    pins = Path("tests/matrix") / f"{environment}.txt"
    session.install("--requirement", str(pins), "--editable", ".[test]")


def test(session: nox.Session, *arguments: str) -> None:
    """Other versions of Airflow warn of what is deprecated in themselves, which is no error of ours."""
    session.run("python", "-m", "pytest", "-W", "default", "-p", "no:cacheprovider", *arguments, *session.posargs)


for name, python in PYTHONS.items():

    @nox.session(name=f"unit-{name}", python=python, tags=["unit"])
    def unit(session: nox.Session, environment: str = name) -> None:
        """What starts no Airflow of its own."""
        install(session, environment)
        test(session, "--numprocesses", "2", "--dist", "loadgroup", "-m", "not slow", *UNIT)

    @nox.session(name=f"smoke-{name}", python=python, tags=["smoke"])
    def smoke(session: nox.Session, environment: str = name) -> None:
        """A rollout through Airflow's own processes: a good model promoted, a bad one rolled back."""
        install(session, environment)
        test(session, *SMOKE)


@nox.session(name="deferrals-mwaa-3.2.1", python=PYTHONS["mwaa-3.2.1"], default=False)
def deferrals(session: nox.Session) -> None:
    """Fifty deferrals at once over a stored connection, on the Airflow whose triggerer such ones can stop; takes ten minutes."""
    install(session, "mwaa-3.2.1")
    session.run("python", "-m", "wiring.deferrals", *session.posargs, env={"PYTHONPATH": ".:tests"})
