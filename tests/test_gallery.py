"""Every DAG of the gallery rolls a model out, on the sandbox, with bakes of a second and an alarm as all that watches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.live import live_endpoint
from airflow_sm_rollout.pytest_plugin import SageMakerSandbox, sagemaker_sandbox, sagemaker_sandbox_speed

DOCS = Path(__file__).parent.parent / "docs"
GALLERY = (DOCS / "gallery.md").read_text()
DAGS = [
    pytest.param(text, id=re.findall(r'DAG\("(\w+)"', text)[0])
    for text in re.findall(r"```python\n(.*?)```", GALLERY, re.DOTALL)
]
BAKE = re.compile(r"^BAKE = \d+", re.MULTILINE)
ALARM = "wine-complaints"

__all__ = ["sagemaker_sandbox", "sagemaker_sandbox_speed"]


def dag_of(text: str, folder: Path) -> Any:
    """The DAG in a block, hurried."""
    assert len(BAKE.findall(text)) == 1, "each block names its bake time once"
    file = folder / "example.py"
    watched = "default_alarms=None, tolerances=None, " + ("" if "alarms=" in text else f"alarms=['{ALARM}'], ")
    file.write_text(BAKE.sub("BAKE = 1", text).replace("endpoint_name=", f"{watched}endpoint_name="))
    return hurried(file)


def hurried(file: Path) -> Any:
    """The DAG in a file, which looks at AWS more often."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(file), bundle_name="dags-folder")
    assert bag.import_errors == {}
    [dag] = bag.dags.values()
    for task in dag.tasks:
        if hasattr(task, "poke_interval"):
            task.poke_interval = 0.2
    return dag


def make_green(sandbox: SageMakerSandbox) -> None:
    sandbox.client("sagemaker").create_model(
        ModelName="wine-v2",
        PrimaryContainer={"Image": "registry/wine:2", "ModelDataUrl": "s3://models/green/model.tar.gz"},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/wine",
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("text", DAGS)
def test_a_dag_of_the_gallery_promotes_a_good_model(
    text: str, tmp_path: Path, sagemaker_sandbox: SageMakerSandbox
) -> None:
    sagemaker_sandbox.put_endpoint("wine")
    sagemaker_sandbox.put_alarm(ALARM)
    make_green(sagemaker_sandbox)
    run = sagemaker_sandbox.run(dag_of(text, tmp_path))
    assert (run.state, run.reason) == ("success", "")
    serving = live_endpoint("wine", client=sagemaker_sandbox.client("ssm"), max_age=0)
    assert sagemaker_sandbox.models(serving) == {"wine-v2": 100}


@pytest.mark.filterwarnings("default")
def test_single_operators_after_one_another_end_failed_after_a_rollback(
    tmp_path: Path, sagemaker_sandbox: SageMakerSandbox
) -> None:
    [text] = re.findall(r"```python\n([^`]*one_by_one[^`]*)```", (DOCS / "operators.md").read_text())
    sagemaker_sandbox.put_endpoint("wine")
    make_green(sagemaker_sandbox)
    sagemaker_sandbox.fail("bad_ping")
    (tmp_path / "example.py").write_text(text)
    run = sagemaker_sandbox.run(hurried(tmp_path / "example.py"))
    assert (run.state, run.tasks["settle"], run.tasks["verdict"]) == ("failed", "success", "failed")
    assert run.reason.startswith("Rolled back (")
    assert " because in deploy: " in run.reason
    assert sagemaker_sandbox.models("wine") == {"wine-v1": 100}
