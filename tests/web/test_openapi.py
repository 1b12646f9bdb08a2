"""The OpenAPI description holds: schemathesis generates valid and invalid requests from it."""

import os
import subprocess
import sys
from pathlib import Path

import requests

from tests.support.processes import RunPlotindex, StartService, draw

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_responses_match_the_description(
    root: Path, server: StartService, plotindex: RunPlotindex, tmp_path: Path, environment: dict[str, str]
) -> None:
    for session in ("s", "0", "other"):
        draw(root, f"{session}/project_a/x.png")
        draw(root, f"{session}/project_b/sub/0.svg")
    token = plotindex("token", "create", "--name", "all").stdout.strip()
    assert plotindex("rebuild").returncode == 0
    with server() as running:
        description = f"{running.url}/api/smartstat/openapi.json"
        assert requests.get(description, timeout=10).json()["openapi"] == "3.1.0"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", description, "--max-examples", "3", "--seed", "1"),
                *(
                    "--header",
                    f"Authorization: Bearer {token}",
                    "--checks",
                    CHECKS,
                    "--phases",
                    "examples,coverage,fuzzing",
                ),
                *("--generation-database", "none", "--no-color"),
            ],
            cwd=tmp_path,
            # Warnings of schemathesis are not ours.
            env={**environment, "PYTHONWARNINGS": "default", "HOME": os.environ.get("HOME", str(tmp_path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 11" in done.stdout
    assert "Traceback" not in running.stderr
