"""Preconditions and ranges: each row is a request and the answer that RFC 9110 gives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plotindex.web.conditions import Decision, Validators, evaluate

SIZE = 1000
TAG, OTHER, WEAK = '"v"', '"w"', 'W/"v"'
SAME, EARLIER, LATER = (
    "Sat, 01 Jan 2000 00:00:00 GMT",
    "Fri, 31 Dec 1999 23:59:59 GMT",
    "Sat, 01 Jan 2000 00:00:01 GMT",
)
NEVER = "Mon, 01 Jan 99999999999999 00:00:00 GMT"
MODIFIED = 946_684_800
ROWS = [
    # 13.2.2 step 1, then 2: If-Unmodified-Since counts only without If-Match.
    ({"IF_MATCH": TAG}, 200),
    ({"IF_MATCH": f"{OTHER}, {TAG}"}, 200),
    ({"IF_MATCH": "*"}, 200),
    ({"IF_MATCH": OTHER}, 412),
    ({"IF_MATCH": WEAK}, 412),
    ({"IF_MATCH": "v"}, 412),
    ({"IF_UNMODIFIED_SINCE": SAME}, 200),
    ({"IF_UNMODIFIED_SINCE": LATER}, 200),
    ({"IF_UNMODIFIED_SINCE": EARLIER}, 412),
    ({"IF_UNMODIFIED_SINCE": NEVER}, 200),
    ({"IF_MATCH": TAG, "IF_UNMODIFIED_SINCE": EARLIER}, 200),
    ({"IF_MATCH": OTHER, "IF_UNMODIFIED_SINCE": LATER}, 412),
    # Steps 3 and 4: If-Modified-Since counts only without If-None-Match.
    ({"IF_NONE_MATCH": TAG}, 304),
    ({"IF_NONE_MATCH": WEAK}, 304),
    ({"IF_NONE_MATCH": f"{OTHER},{TAG}"}, 304),
    ({"IF_NONE_MATCH": "*"}, 304),
    ({"IF_NONE_MATCH": OTHER}, 200),
    ({"IF_NONE_MATCH": "v"}, 200),
    ({"IF_MODIFIED_SINCE": SAME}, 304),
    ({"IF_MODIFIED_SINCE": LATER}, 304),
    ({"IF_MODIFIED_SINCE": EARLIER}, 200),
    ({"IF_MODIFIED_SINCE": NEVER}, 200),
    ({"IF_MODIFIED_SINCE": "yesterday"}, 200),
    ({"IF_NONE_MATCH": OTHER, "IF_MODIFIED_SINCE": LATER}, 200),
    ({"IF_NONE_MATCH": TAG, "IF_MODIFIED_SINCE": EARLIER}, 304),
    # Steps 1 and 2 come before 3 and 4.
    ({"IF_MATCH": OTHER, "IF_NONE_MATCH": TAG}, 412),
    ({"IF_MATCH": TAG, "IF_NONE_MATCH": TAG}, 304),
    ({"IF_UNMODIFIED_SINCE": EARLIER, "IF_NONE_MATCH": TAG}, 412),
    ({"IF_UNMODIFIED_SINCE": SAME, "IF_MODIFIED_SINCE": SAME}, 304),
    # Step 5 comes last.
    ({"RANGE": "bytes=0-9", "IF_NONE_MATCH": TAG}, 304),
    ({"RANGE": "bytes=5000-", "IF_NONE_MATCH": TAG}, 304),
    ({"RANGE": "bytes=5000-", "IF_MATCH": OTHER}, 412),
]
RANGES = [
    ({"RANGE": "bytes=0-9"}, (206, 0, 10)),
    ({"RANGE": "bytes=990-5000"}, (206, 990, 10)),
    ({"RANGE": "bytes=990-"}, (206, 990, 10)),
    ({"RANGE": "bytes=-10"}, (206, 990, 10)),
    ({"RANGE": "bytes=-5000"}, (206, 0, 1000)),
    ({"RANGE": "bytes=-0"}, (416, 0, 0)),
    ({"RANGE": "bytes=1000-"}, (416, 0, 0)),
    *(({"RANGE": asked}, (200, 0, 1000)) for asked in ("bytes=0-9,20-29", "items=0-9", "bytes=9-0", "bytes=-", "0-9")),
    ({"RANGE": "bytes=0-9", "IF_RANGE": TAG}, (206, 0, 10)),
    ({"RANGE": "bytes=0-9", "IF_RANGE": SAME}, (206, 0, 10)),
    *(
        ({"RANGE": "bytes=0-9", "IF_RANGE": given}, (200, 0, 1000))
        for given in (OTHER, WEAK, "v", EARLIER, LATER, NEVER, "")
    ),
    ({"RANGE": "bytes=5000-", "IF_RANGE": OTHER}, (200, 0, 1000)),
    ({"IF_RANGE": OTHER}, (200, 0, 1000)),
]


def decide(headers: dict[str, str], method: str = "GET", *, is_settled: bool = True) -> Decision:
    environ = {"REQUEST_METHOD": method, **{f"HTTP_{name}": value for name, value in headers.items()}}
    return evaluate(environ, Validators("v", MODIFIED, is_settled), SIZE)


@pytest.mark.parametrize(("headers", "status"), ROWS)
def test_preconditions_are_evaluated_in_the_order_of_rfc_9110(headers: dict[str, str], status: int) -> None:
    assert decide(headers).status == decide(headers, "HEAD").status == status


@pytest.mark.parametrize(("headers", "decision"), RANGES)
def test_a_range_is_answered_with_its_part_or_with_the_whole(
    headers: dict[str, str], decision: tuple[int, int, int]
) -> None:
    assert decide(headers) == decision


@pytest.mark.parametrize("headers", [headers for headers, _ in RANGES])
def test_a_head_ignores_the_range(headers: dict[str, str]) -> None:
    assert decide(headers, "HEAD") == (200, 0, SIZE)


def test_a_date_that_may_stand_for_two_versions_does_not_validate_a_range() -> None:
    assert decide({"RANGE": "bytes=0-9", "IF_RANGE": SAME}, is_settled=False).status == 200


@given(st.text(max_size=30).map(lambda text: f"bytes={text}"), st.integers(0, 50))
def test_whatever_the_range_is_no_byte_outside_the_file_is_sent(asked: str, size: int) -> None:
    environ = {"REQUEST_METHOD": "GET", "HTTP_RANGE": asked}
    decision = evaluate(environ, Validators("v", MODIFIED, True), size)
    assert decision.first >= 0
    assert decision.first + decision.length <= size
    assert decision.status != 206 or decision.length > 0
