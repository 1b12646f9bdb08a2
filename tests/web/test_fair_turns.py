"""How callers share the threads, by the order in which their turns begin."""

import asyncio
from collections.abc import Callable

from plotindex.web.server.fair_turns import FairTurns
from tests.support.threads import without_event_loop


@without_event_loop
def run(steps: Callable[[FairTurns], None], turns: int, each: int) -> None:
    """Run some steps on an event loop."""

    async def on_loop() -> None:
        steps(FairTurns(turns, each))

    asyncio.run(on_loop())


def test_one_caller_leaves_turns_to_others() -> None:
    def steps(turns: FairTurns) -> None:
        asked = [turns.ask("a") for _ in range(5)]
        assert [turn.done() for turn in asked] == [True, True, False, False, False]
        assert turns.ask("b").done()
        turns.give_up("a", asked[0])
        assert [turn.done() for turn in asked] == [True, True, True, False, False]

    run(steps, turns=3, each=2)


def test_the_next_turn_is_for_the_caller_with_the_fewest() -> None:
    def steps(turns: FairTurns) -> None:
        running = [turns.ask("a"), turns.ask("a"), turns.ask("b")]
        of_a, of_b, of_c = [turns.ask(caller) for caller in "abc"]
        turns.give_up("a", running[0])
        assert (of_a.done(), of_b.done(), of_c.done()) == (False, False, True)
        turns.give_up("a", running[1])
        assert (of_a.done(), of_b.done()) == (True, False)

    run(steps, turns=3, each=3)


def test_callers_with_as_many_take_turns_in_order() -> None:
    def steps(turns: FairTurns) -> None:
        running = turns.ask("a")
        waiting = [(caller, turns.ask(caller)) for caller in ("a", "a", "b", "b", "c")]
        begun = []
        last = "a"
        while waiting:
            turns.give_up(last, running)
            (last, running), *others = [pair for pair in waiting if pair[1].done()]
            assert not others
            waiting.remove((last, running))
            begun.append(last)
        assert begun == ["a", "b", "c", "a", "b"]

    run(steps, turns=1, each=1)


def test_a_caller_who_gives_up_keeps_nobody_waiting() -> None:
    def steps(turns: FairTurns) -> None:
        running, gone, waiting = turns.ask("a"), turns.ask("b"), turns.ask("c")
        turns.give_up("b", gone)
        turns.give_up("a", running)
        assert (gone.done(), waiting.done()) == (False, True)

    run(steps, turns=1, each=1)
