"""Processes killed in the middle of a save."""

import os
import random
import signal
import time
from pathlib import Path

from tests.faults.runs import Child, Operations, checkpointer, made, newest, results, saving


def random_kills(folder: Path, count: int, rng: random.Random) -> dict[str, int]:
    """SIGKILL at random moments of a save; each next run must go on from the last complete checkpoint."""
    done, within = 0, 0
    for _ in range(count):
        child, wait_for, last = Child(saving(folder, 1000)), rng.randint(1, 3), None
        for what, step in child:
            if what == "restored":
                assert step in (done, done + 1), f"{done} was complete, and a run went on from {step}"
                done = step
            done = step if what == "done" else done
            wait_for -= what == "begun"
            if not wait_for:
                break
        time.sleep(rng.uniform(0, 0.25))
        os.kill(child.pid, signal.SIGKILL)
        status, rest = child.end()
        assert status == -signal.SIGKILL, rest
        for last in rest:
            done = last[1] if last[0] == "done" else done
        within += last is None or last[0] == "begun"
    assert results(saving(folder, 1))[0] in (["restored", done], ["restored", done + 1])
    return {"tried": count, "in the middle of a save": within}


def kills_at_each_operation(folder: Path, every: int) -> dict[str, int]:
    """SIGKILL before each file operation of a save in turn: the last one deletes what is no longer kept."""
    results(saving(folder, 3))
    done, tried, status = 3, 0, None
    while status != 0:
        number = 1 + tried * every

        def body(say, number=number):
            seen = []

            def act(event):
                seen.append(event)
                if len(seen) == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            with checkpointer(folder).writing():
                step = newest(folder)
                say(step)
                with Operations(folder, act):
                    checkpointer(folder).save(made(step + 1))

        status, said = Child(body).end()
        assert said and said[0] in (done, done + 1), f"{done} was complete, and then {said}"
        assert status in (0, -signal.SIGKILL), said
        done, tried = said[0], tried + 1
    return {"tried": tried - 1}
