"""The access log's lines, for any values from clients."""

import json
import select

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plotindex.system.logs import AccessLog, AccessRecord

FORGED = "1.1.1.1 GET /forged 200 5 1.0 ms hit [cafecafecafe]"
texts = st.text(st.characters(), max_size=2000) | st.sampled_from(["\0", "\x1b", "\U0001f600", "\udcff", '"', " "]).map(
    lambda character: character * 65_000
)


@pytest.mark.parametrize("log_format", ["text", "json"])
@given(remote=texts, method=texts, path=texts)
@example(remote=FORGED, method="GET", path="/")
@example(remote="127.0.0.1", method="GET", path=f"/\n{FORGED}")
def test_any_client_values_become_one_line_written_atomically_with_each_field_in_its_place(
    log_format: str, remote: str, method: str, path: str
) -> None:
    log = AccessLog(log_format)
    line = log.format(AccessRecord(remote, method, path, 200, 5, 1.0, None, "3f", 0.0))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) < select.PIPE_BUF
    if log_format == "json":
        entry = json.loads(line)
        assert (entry["status"], entry["bytes"], entry["milliseconds"]) == (200, 5, 1.0)
    else:
        words = line.decode().rstrip("\n").split(" ")
        assert len(words) == 11
        assert words[6:10] == ["200", "5", "1.0", "ms"]


def test_usual_values_are_logged_unchanged() -> None:
    line = AccessLog("text").format(
        AccessRecord("2001:db8::1", "GET", "/api/plots/s/größe.png", 404, None, 0.4, "fwd=miss", "3f", 0.0)
    )
    assert line.decode().endswith(" INFO 2001:db8::1 GET /api/plots/s/größe.png 404 - 0.4 ms fwd=miss [3f]\n")
