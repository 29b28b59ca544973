"""How the collector of garbage is set."""

import gc

from bot import collector


def test_it_runs_seldom_and_looks_only_at_what_came_after_the_start():
    before = gc.get_threshold()
    try:
        collector.run_seldom()
        assert gc.get_threshold() == collector.THRESHOLDS > before
        collector.leave_alone_what_is_there()
        assert gc.get_freeze_count() > 1000
        assert len(gc.get_objects()) < 1000
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
