"""The page of a stranger in a real browser (Debian's chromium), against a sandbox on a port of this machine."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

import pytest

from airflow_sm_rollout.sandbox import ManualClock, RunningServer, Sandbox, serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PAGE = """<!doctype html><title>a harmless page</title><body><script>
const say = text => document.body.append(text + "\\n");
const scope = name => `AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/${name}/aws4_request, SignedHeaders=host, Signature=0`;
const tries = {
  control: ["/", {method: "POST", headers: {authorization: scope("sagemaker"), "x-amz-target": "SageMaker.ListModels"}, body: "{}"}],
  elsewhere: ["/bucket", {method: "PUT", headers: {authorization: scope("s3")}}],
  simple: ["/_sandbox/faults", {method: "POST", body: '{"kind": "throttle"}'}],
  reset: ["/moto-api/reset", {method: "POST"}],
  read: ["/_sandbox/health", {}],
};
(async () => {
  for (const [name, [path, options]] of Object.entries(tries))
    try { const answer = await fetch("TARGET" + path, options); say(`${name}: ${answer.status}`); }
    catch { say(`${name}: stopped`); }
  say("done");
})()</script>"""


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.fixture
def running(sandbox: Sandbox) -> Iterator[RunningServer]:
    with serve(sandbox) as running:
        yield running


def dom_of(url: str, profile: Path, *arguments: str) -> str:
    """A page as it stands when its scripts are through."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed: apt-get install chromium"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
    command = [chromium, *flags, "--virtual-time-budget=20000", *arguments, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


class _Page(BaseHTTPRequestHandler):
    target = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.replace("TARGET", self.target).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        pass


def test_a_page_of_another_origin_does_not_get_through_a_single_door(
    sandbox: Sandbox, running: RunningServer, tmp_path: Path
) -> None:
    page = type("Page", (_Page,), {"target": running.url})
    with ThreadingTCPServer(("127.0.0.1", 0), page) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        dom = dom_of(f"http://127.0.0.1:{site.server_address[1]}/", tmp_path)
        site.shutdown()
    said = dict(line.split(": ") for line in dom.rpartition("</script>")[2].splitlines() if ": " in line)
    assert said == dict.fromkeys(["control", "elsewhere", "simple", "reset", "read"], "stopped")
    assert (sandbox.calls, sandbox.faults.waiting()) == ([], [])


def test_a_page_whose_own_name_was_bound_to_this_machine_reads_nothing(running: RunningServer, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    bound = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    refused = dom_of(f"http://evil.example:{port}/_sandbox/health", tmp_path, bound)
    assert "does not answer to the host" in refused
    assert '"status": "ok"' not in refused
    assert '"status": "ok"' in dom_of(f"http://127.0.0.1:{port}/_sandbox/health", tmp_path, bound)
