"""Real files of other programs, and mutated ones, in the confined renderer: `make acceptance` draws more of them."""

import pytest

from plotindex.rendering.protocol import Outcome
from tests.tools.pictures import KINDS, draw_all, mutated_files, real_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_real_files_are_drawn() -> None:
    outcomes = draw_all(real_files(500, seed=1))
    assert outcomes.total() == 500
    # Pillow's own tests hold damaged and unsupported files of every kind.
    assert {outcome for _, outcome in outcomes} <= {
        Outcome.RENDERED,
        Outcome.FAILED,
        Outcome.TOO_LARGE,
        Outcome.PROTECTED,
    }
    drawn = sum(count for (_, outcome), count in outcomes.items() if outcome is Outcome.RENDERED)
    assert drawn >= 480
    assert {suffix for suffix, outcome in outcomes if outcome is not Outcome.RENDERED} & {
        ".svg",
        ".webp",
        ".avif",
    } == set()


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_leave_nothing_behind(kind: str) -> None:
    assert draw_all(mutated_files(kind, 200, seed=1), 160).total() == 200
