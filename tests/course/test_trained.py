"""Trained or train: shipped weights where they fit, otherwise a training that is kept."""

import pytest

from perceiver_lab import figures, recipes
from perceiver_lab.course.live import LiveCurve
from perceiver_lab.course.trained import trained
from perceiver_lab.training import Checkpointer, FolderInUseError, History, WeightsError


@pytest.fixture
def ships(tiny):
    return recipes.ship(tiny, [recipes.run(tiny, "full", seed=seed, progress=False) for seed in (3, 4)])


def test_shipped_weights_in_any_mode(tiny, ships, capsys):
    found = trained("tiny", mode="ci", progress=False)
    assert found.shipped
    model, metrics, history = found
    assert metrics["accuracy"] > 0.9
    assert history.curve("loss")[0][-1] == 40
    assert type(model).__name__ == "Tiny"
    assert "tiny: shipped weights (40 steps" in capsys.readouterr().out


def test_trained_when_nothing_fits(tiny, ships, capsys):
    variation = tiny.override({"model.width": 9})
    found = trained(variation, mode="lab", progress=False)
    assert not found.shipped
    said = capsys.readouterr().out
    assert "training in mode lab (6 steps)" in said
    assert "test accuracy" in said
    again = trained(variation, mode="lab", progress=False)
    assert again.about["minutes"] == found.about["minutes"], "trained a second time"


def test_retraining_on_request(tiny, ships):
    assert not trained("tiny", mode="ci", retrain=True, live=False, progress=False).shipped


def test_a_full_training_says_how_long_it_took_before(tiny, ships, capsys):
    minutes = recipes.load_shipped(tiny)[1]["minutes"]
    trained("tiny", mode="full", retrain=True, live=False, progress=False)
    assert f"(40 steps; the one that ships took {minutes:g} minutes on " in capsys.readouterr().out


def test_a_run_that_was_finished_earlier_shows_its_curve_too(tiny, monkeypatch):
    trained("tiny", mode="ci", live=False, progress=False)
    screen = Screen(monkeypatch)
    again = trained("tiny", mode="ci", progress=False)
    assert screen.shown and "loss" in screen.shown[-1][0]["text/plain"]
    assert len(again.history)


def test_what_cannot_be_used_makes_room(tiny, capsys):
    trained("tiny", mode="ci", progress=False)
    weights = recipes.run_folder(tiny, "ci", 0) / "weights.safetensors"
    weights.write_bytes(b"hello")
    assert trained("tiny", mode="ci", progress=False).metrics["total"] == 10
    assert "cannot be used, so it starts again" in capsys.readouterr().out


def test_a_damaged_checkpoint_makes_room_for_an_older_one(tiny, capsys):
    before = trained("tiny", mode="full", live=False, progress=False)
    folder = recipes.run_folder(tiny, "full", 3)
    older, newest = sorted(folder.glob("step_*"))
    for path in folder.glob("weights.*"):
        path.unlink()
    next(path for path in newest.rglob("*") if path.is_file()).write_bytes(b"hello")
    kept = (older / "manifest.json").stat().st_mtime_ns
    again = trained("tiny", mode="full", live=False, progress=False)
    assert f"goes on from {older.name}" in capsys.readouterr().out
    assert again.metrics == before.metrics
    assert (older / "manifest.json").stat().st_mtime_ns == kept, "the older one was made anew"


def test_what_another_notebook_is_training_is_left_alone(tiny):
    folder = recipes.run_folder(tiny, "lab", 0)
    with Checkpointer(folder, fingerprint={}).writing():
        before = sorted(folder.iterdir())
        with pytest.raises(FolderInUseError, match="Another process is training into"):
            trained(tiny, mode="lab", live=False, progress=False)
        assert sorted(folder.iterdir()) == before


def test_corrupt_shipped_weights_are_an_error(tiny, ships):
    ships.write_bytes(b"hello")
    with pytest.raises(WeightsError, match=r"tiny.safetensors does not have the sha256"):
        trained("tiny", progress=False)


def test_unknown_names_and_modes(tiny):
    with pytest.raises(ValueError, match=r"There is no recipe 'tidy'. Did you mean 'tiny'"):
        trained("tidy")
    with pytest.raises(ValueError, match="There is no mode 'fast'"):
        trained("tiny", mode="fast")


class Screen:
    """What a notebook would show."""

    def __init__(self, monkeypatch):
        import IPython.display

        from perceiver_lab.course import live

        self.shown = []
        monkeypatch.setattr(live, "_in_notebook", lambda: True)
        monkeypatch.setattr(IPython.display, "display", lambda bundle, **options: self.shown.append((bundle, options)))


def test_the_live_curve_is_one_picture_that_changes(monkeypatch):
    screen = Screen(monkeypatch)
    history = History(records=[{"step": 1, "loss": 2.0}])
    with LiveCurve(interval=0.0) as curve:
        curve(history)
        history.append({"step": 2, "loss": 1.0, "test_loss": 1.5})
        curve(history)
    assert [options["update"] for _, options in screen.shown] == [False, True, True]
    assert len({options["display_id"] for _, options in screen.shown}) == 1
    last = screen.shown[-1][0]
    assert "<img" in last["text/html"]
    assert "alt=" in last["text/html"]
    assert "loss from 2 to 1" in last["text/plain"]


def test_the_live_curve_spares_the_clock(monkeypatch):
    screen = Screen(monkeypatch)
    history = History(records=[{"step": 1, "loss": 2.0}])
    with LiveCurve(interval=1000.0) as curve:
        for _ in range(5):
            curve(history)
    assert len(screen.shown) == 2  # the first record, and the whole at the end


def test_another_figure_may_be_drawn_once_there_is_something_to_see(monkeypatch):
    screen = Screen(monkeypatch)
    history = History(records=[{"step": 1, "loss": 2.0}])
    frame = figures.loss_curve({"loss": [2.0]}, alt="a frame of our own")
    with LiveCurve(interval=0.0, draw=lambda history: frame if len(history) > 1 else None) as curve:
        curve(history)
        assert screen.shown == []
        history.append({"step": 2, "loss": 1.0})
    assert [(bundle["text/plain"], options["update"]) for bundle, options in screen.shown] == [
        ("a frame of our own", False)
    ]


def test_outside_a_notebook_nothing_is_drawn(capsys):
    with LiveCurve() as curve:
        curve(History(records=[{"step": 1, "loss": 2.0}]))
    assert capsys.readouterr().out == ""


def test_nothing_to_draw(monkeypatch):
    screen = Screen(monkeypatch)
    with LiveCurve():
        pass
    with LiveCurve("accuracy") as curve:
        curve(History(records=[{"step": 1, "loss": 2.0}]))
    assert screen.shown == []
