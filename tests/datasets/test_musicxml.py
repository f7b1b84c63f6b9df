"""Scores: what a voice sings and when, against music21's own reader and on made-up measures."""

import io
import zipfile
from fractions import Fraction

import pytest

from perceiver_lab.datasets.chorales import SCORES_SHA256, VOICES
from perceiver_lab.datasets.musicxml import Tone, read_voices
from perceiver_lab.datasets.shipped import read_packaged_folder

NOTE = "<note><pitch><step>{step}</step>{alter}<octave>4</octave></pitch><duration>{duration}</duration>{tie}</note>"


def note(step, duration, *, alter=0, tie=""):
    alter = f"<alter>{alter}</alter>" if alter else ""
    return NOTE.format(step=step, duration=duration, alter=alter, tie=f'<tie type="{tie}"/>' if tie else "")


def score(*measures, name="Alto"):
    inside = "".join(f"<measure>{one}</measure>" for one in measures)
    parts = f'<part-list><score-part id="P1"><part-name>{name}</part-name></score-part></part-list>'
    return f'<score-partwise>{parts}<part id="P1">{inside}</part></score-partwise>'.encode()


def divisions(number):
    return f"<attributes><divisions>{number}</divisions></attributes>"


def test_ties_rests_and_divisions():
    content = score(
        divisions(2) + note("C", 2) + "<note><rest/><duration>1</duration></note>" + note("F", 1, alter=1, tie="start"),
        divisions(4) + note("F", 4, alter=1, tie="stop") + "<forward><duration>2</duration></forward>" + note("B", 1),
    )
    (tones,) = read_voices(content, ["Alto"])
    assert tones == (
        Tone(Fraction(0), Fraction(1), 60),
        Tone(Fraction(3, 2), Fraction(3), 66),
        Tone(Fraction(7, 2), Fraction(15, 4), 71),
    )


def test_a_tie_to_another_pitch_joins_nothing_and_grace_notes_take_no_time():
    grace = "<note><grace/><pitch><step>D</step><octave>4</octave></pitch></note>"
    (tones,) = read_voices(score(note("C", 1) + grace + note("E", 1, tie="stop")), ["Alto"])
    assert [tone.pitch for tone in tones] == [60, 64]


def test_only_the_voices_that_are_named():
    assert read_voices(score(note("C", 1), name="Oboe"), ["Alto"]) is None
    assert read_voices(score(note("C", 1)), ["Alto", "Bass"]) is None


@pytest.mark.parametrize(
    "extra", ["<backup><duration>1</duration></backup>", note("E", 1).replace("<pitch>", "<chord/><pitch>")]
)
def test_two_notes_at_once(extra):
    with pytest.raises(ValueError, match="'Alto' has two notes at once at quarter 1"):
        read_voices(score(note("C", 1) + extra), ["Alto"])


def test_what_is_no_score():
    for content in (b"", b"PK\3\4 cut short", b"<score-partwise>"):
        with pytest.raises(ValueError, match="no readable MusicXML"):
            read_voices(content, ["Alto"])
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(ValueError, match="no readable MusicXML"):
        read_voices(empty.getvalue(), ["Alto"])
    with pytest.raises(ValueError, match="The score is a <score-timewise>"):
        read_voices(b"<score-timewise/>", ["Alto"])


@pytest.mark.filterwarnings("ignore")
def test_against_music21():
    """Twenty pieces as music21 itself reads them: every beginning, length and pitch."""
    from music21 import converter

    scores = read_packaged_folder("music21", "corpus/bach", "bwv*.mxl", SCORES_SHA256)
    names = [name for name in scores if read_voices(scores[name], VOICES) is not None][::18][:20]
    assert len(names) == 20
    for name in names:
        found = read_voices(scores[name], VOICES)
        with zipfile.ZipFile(io.BytesIO(scores[name])) as archive:
            (inside,) = [one for one in archive.namelist() if one.startswith("bwv")]
            theirs = converter.parseData(archive.read(inside).decode(), format="musicxml").stripTies()
        for tones, part in zip(found, theirs.parts, strict=True):
            expected = [
                Tone(Fraction(one.offset), Fraction(one.offset) + Fraction(one.quarterLength), one.pitch.midi)
                for one in part.flatten().notes
                if not one.duration.isGrace
            ]
            assert list(tones) == expected, name
