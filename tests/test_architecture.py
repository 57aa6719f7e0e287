"""What holds the house together: lint, types, sizes, and which layer may import which."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_sm_rollout
from airflow_sm_rollout.core.traffic import TRAFFIC
from airflow_sm_rollout.provider_info import get_provider_info

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "airflow_sm_rollout"
MODULES = sorted(PACKAGE.rglob("*.py"))

AIRFLOW_LAYERS = {"hooks", "operators", "sensors", "triggers", "task_groups", "plugin"}
PROGRAMS = {"cli", "cli_local", "demo", "pytest_plugin"}

IMPURE = {"asyncio", "os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid"}
CLOCK_READS = {"now", "today", "utcnow"}

FUNCTION_LINES = 30
FILE_LINES = 400


def run(*command: str) -> None:
    outcome = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, f"{' '.join(command)}:\n{outcome.stdout[-6000:]}{outcome.stderr[-2000:]}"


def test_ruff_finds_nothing_to_improve() -> None:
    run("ruff", "check", ".")


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


def test_the_package_passes_strict_type_checks() -> None:
    run("mypy")


def layer_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST, module: Path) -> Iterator[str]:
    """Absolute dotted names of all that is imported anywhere in the module, ``from a import b`` as ``a.b``."""
    package = module.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            yield from (f"{base}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names)


def forbidden(layer: str, name: str) -> bool:
    """Whether a module of ``layer`` must not import ``name``."""
    top, _, rest = name.partition(".")
    ours = rest.partition(".")[0] if top == "airflow_sm_rollout" else None
    if layer == "core":
        return ours != "core" if ours is not None else top in IMPURE or top not in sys.stdlib_module_names
    if layer == "aws":
        return ours not in {None, "core", "aws"} or top == "airflow"
    if layer == "guardian":
        return ours not in {None, "core", "aws", "guardian"} or top == "airflow"
    if layer == "sandbox":
        # The sandbox shares no code with what it is the test of, or it would share its mistakes.
        return ours not in {None, "sandbox"}
    if layer in PROGRAMS:
        return False
    return ours in {"sandbox", *PROGRAMS} or (layer in AIRFLOW_LAYERS and top in {"boto3", "botocore", "moto"})


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_imports_point_inward_only(module: Path) -> None:
    found = [name for name in imports_of(ast.parse(module.read_text()), module) if forbidden(layer_of(module), name)]
    assert found == []


@pytest.mark.parametrize(
    ("layer", "name", "refused"),
    [
        ("core", "dataclasses.dataclass", False),
        ("core", "airflow_sm_rollout.core.names.green_name", False),
        ("core", "airflow_sm_rollout.aws.endpoint", True),
        ("core", "time", True),
        ("core", "os.environ", True),
        ("core", "boto3", True),
        ("aws", "botocore.exceptions.ClientError", False),
        ("aws", "airflow.sdk.BaseHook", True),
        ("aws", "airflow_sm_rollout.hooks.aws", True),
        ("guardian", "airflow_sm_rollout.aws.watch.look", False),
        ("guardian", "airflow_sm_rollout.operators.base", True),
        ("guardian", "airflow.sdk.DAG", True),
        ("operators", "airflow_sm_rollout.core.converge.decide", False),
        ("operators", "boto3", True),
        ("task_groups", "airflow_sm_rollout.sandbox.serve", True),
        ("sandbox", "airflow_sm_rollout.core.names", True),
        ("sandbox", "moto.core", False),
        ("cli", "airflow_sm_rollout.sandbox.serve", False),
        ("demo", "airflow_sm_rollout.sandbox.traffic", False),
        ("operators", "airflow_sm_rollout.demo.run", True),
        ("provider_info", "airflow_sm_rollout.__version__", False),
        ("provider_info", "airflow_sm_rollout.sandbox.serve", True),
    ],
)
def test_the_import_rule_tells_right_from_wrong(layer: str, name: str, refused: bool) -> None:
    assert forbidden(layer, name) is refused


def test_relative_imports_are_seen_as_what_they_import() -> None:
    tree = ast.parse("from ..aws import endpoint\nfrom . import names")
    assert list(imports_of(tree, PACKAGE / "core/example.py")) == [
        "airflow_sm_rollout.aws.endpoint",
        "airflow_sm_rollout.core.names",
    ]


@pytest.mark.parametrize("module", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda module: module.name)
def test_core_reads_no_clock(module: Path) -> None:
    calls = (node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call))
    reads = [
        ast.unparse(call) for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in CLOCK_READS
    ]
    assert reads == []


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Length of a function without its docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_functions_are_short() -> None:
    long = [
        f"{module.relative_to(ROOT)}:{node.lineno} {node.name} has {lines_of(node)} lines"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and lines_of(node) > FUNCTION_LINES
    ]
    assert long == []


def test_files_are_short() -> None:
    lengths = {str(module.relative_to(ROOT)): len(module.read_text().splitlines()) for module in MODULES}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES} == {}


def test_importing_the_package_imports_neither_airflow_nor_boto3() -> None:
    program = (
        "import sys, airflow_sm_rollout\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'airflow', 'boto3', 'botocore', 'moto', 'sklearn'}))"
    )
    outcome = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"


@pytest.mark.parametrize("name", airflow_sm_rollout.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(airflow_sm_rollout, name) is not None


def test_what_is_no_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = airflow_sm_rollout.no_such_name


def test_the_entry_points_of_the_wheel_lead_to_functions_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for target in (project["entry-points"]["apache_airflow_provider"]["provider_info"], *project["scripts"].values()):
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), target


def test_the_provider_tells_airflow_its_name_and_version() -> None:
    described = get_provider_info()
    assert described["package-name"] == "airflow-sm-rollout"
    assert described["versions"] == [airflow_sm_rollout.__version__]


def test_every_directory_with_modules_is_a_package() -> None:
    directories = {module.parent for module in MODULES}
    assert [str(directory) for directory in directories if not (directory / "__init__.py").exists()] == []


def repeated_basenames(directory: Path) -> set[str]:
    """Names that more than one module of a directory has, so that the name alone does not lead to the module."""
    counts = Counter(module.stem for module in directory.rglob("*.py") if module.stem != "__init__")
    return {name for name, count in counts.items() if count > 1}


def test_a_name_leads_to_one_module_of_core() -> None:
    assert repeated_basenames(PACKAGE / "core") == set()


def test_a_name_that_occurs_twice_is_found_at_any_depth(tmp_path: Path) -> None:
    for name in ("way.py", "once.py", "__init__.py", "one/way.py", "one/__init__.py", "one/deep/other.py", "other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert repeated_basenames(tmp_path) == {"way", "other"}


def names_in(tree: ast.AST) -> Iterator[str]:
    """All that a module names: as a variable, an attribute, something imported (whatever it is called then), or a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def namers_of(name: str) -> set[str]:
    """Modules of the package that name something, but for those that define it, and the programs around it."""
    found = set()
    for module in MODULES:
        tree = ast.parse(module.read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        if name in set(names_in(tree)) - defined:
            found.add(module.relative_to(PACKAGE).as_posix())
    return {module for module in found if not module.startswith(("sandbox/", "demo/", "probe/"))}


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("Course", {"core/watch/ledger.py", "core/watch/reach.py"}),  # of what a bake could prove
        ("compare", {"core/replay/history.py", "core/replay/replay.py"}),  # of what is past and over
        ("fold", {"aws/watch.py"}),
        ("get_metric_data", {"aws/metrics.py"}),
    ],
)
def test_there_is_one_judge_and_one_reader_of_metrics(name: str, where: set[str]) -> None:
    assert namers_of(name) == where


@pytest.mark.parametrize(
    "written",
    [
        "from airflow_sm_rollout.core.comparison.comparison import compare as ask\nask([], [])",
        "from airflow_sm_rollout.core.comparison import comparison\ncomparison.compare([], [])",
        "getattr(comparison, 'compare')([], [])",
    ],
)
def test_a_second_caller_is_found_however_it_calls(written: str) -> None:
    assert "compare" in set(names_in(ast.parse(written)))


def asks_which_traffic(tree: ast.AST) -> list[str]:
    """Where a module asks which way to split traffic it is, by a comparison, a case or a table, instead of asking the way's object."""
    found = []
    for node in ast.walk(tree):
        asked = asked_in(node)
        if any(is_a_way(part) for each in asked for part in ast.walk(each)):
            found.append(ast.unparse(node))
    return found


def asked_in(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Compare):
        others = [each for each in (node.left, *node.comparators) if not is_none(each)]
        return others if len(others) > 1 else []
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) != "TRAFFIC":
        return [node.slice]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".get", "isinstance", "startswith", "endswith")):
        return node.args[1:] if ast.unparse(node.func) == "isinstance" else [node.func, *node.args[:1]]
    return [node.subject] if isinstance(node, ast.Match) else []


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def is_a_way(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in set(TRAFFIC)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "traffic" or name in {type(way).__name__ for way in TRAFFIC.values()}


# What stands beside the objects: each way's rules, its calls to AWS, and what the demo shows of it.
TABLES_OF_WAYS = {"core/converge.py": "WAYS[", "aws/iam.py": "GRANTS[", "demo/scripts.py": "by_traffic.get("}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_nothing_but_its_object_asks_which_way_splits_the_traffic(module: Path) -> None:
    name = module.relative_to(PACKAGE).as_posix()
    if name != "core/traffic.py" and layer_of(module) != "sandbox":
        asked = asks_which_traffic(ast.parse(module.read_text()))
        assert [each for each in asked if not each.startswith(TABLES_OF_WAYS.get(name, "\0"))] == []


@pytest.mark.parametrize("page", sorted(PACKAGE.rglob("*.html")), ids=lambda page: page.name)
def test_no_page_asks_which_way_splits_the_traffic(page: Path) -> None:
    assert re.findall(r"traffic\s*(?:==|!=|in\b|is\b)|[\"'](?:" + "|".join(TRAFFIC) + r")[\"']", page.read_text()) == []


@pytest.mark.parametrize(
    ("written", "asks"),
    [
        ("plan.traffic == 'guardrails'", True),
        ("way != 'endpoints'", True),
        ("rollout.traffic is TRAFFIC['variants']", True),
        ("plan.traffic in ('variants', 'endpoints')", True),
        ("rollout.traffic.name == chosen", True),
        ("(script.dag_id, script.traffic) == (strategy, traffic)", True),
        ("isinstance(rollout.traffic, Endpoints)", True),
        ("INSTEAD[rollout.plan.traffic](rollout)", True),
        ("INSTEAD.get(traffic, str)", True),
        ("options.traffic.startswith('guard')", True),
        ("match plan.traffic:\n    case 'guardrails':\n        pass", True),
        ("rollout.traffic.has_pointer", False),
        ("traffic is not None and traffic.is_shifted_by_aws", False),
        ("TRAFFIC[options.traffic].has_pointer", False),
    ],
)
def test_a_question_for_the_way_is_found_however_it_is_put(written: str, asks: bool) -> None:
    assert bool(asks_which_traffic(ast.parse(written))) is asks
