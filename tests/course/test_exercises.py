"""The framework of the exercises, and what holds for the exercises of every lesson."""

import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.course import check, hint, solution
from perceiver_lab.course.exercises import base, graders
from perceiver_lab.course.exercises.base import Exercise, Unanswered, verdict

FOLDER = pathlib.Path(base.__file__).parent
SOURCES = pathlib.Path(__file__).parents[2] / "notebooks" / "source"
ALL = [
    exercise
    for path in sorted(FOLDER.glob("lesson_[0-9][0-9].py"))
    for exercise in base.lesson(path.stem.removeprefix("lesson_"))
]


def words(text):
    return " ".join(text.split())


def made(grade, **changes):
    options = {
        "id": "99.1", "title": "t", "question": "q", "minutes": 1, "difficulty": 1, "grade": grade,
        "because": "So\nit is.", "hints": ("one", "two"), "solution": "answer = 1",
    }  # fmt: skip
    return Exercise(**{**options, **changes})


@pytest.fixture
def install(monkeypatch):
    def install(grade, **changes):
        monkeypatch.setattr(base, "lesson", lambda number: (made(grade, **changes),) if number == "99" else ())

    return install


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
class TestEveryExercise:
    def test_its_solution_is_right(self, exercise):
        names = {"np": np, "jnp": jnp}
        exec(exercise.solution, names)
        assert verdict(exercise.id, names["answer"]).status == "right"

    @pytest.mark.parametrize("answer", [None, ..., "", "  "])
    def test_the_empty_cell_is_not_answered_yet(self, exercise, answer):
        found = verdict(exercise.id, answer)
        assert found.status == "empty"
        assert found.text == f'… {exercise.id} Not answered yet. hint("{exercise.id}") helps.'

    def test_a_function_without_a_body_is_not_answered_yet(self, exercise):
        names = {"np": np, "jnp": jnp}
        exec(exercise.solution, names)
        if callable(names["answer"]):
            assert verdict(exercise.id, lambda *arguments: None).status == "empty"
            assert verdict(exercise.id, lambda *arguments: ...).status == "empty"

    @pytest.mark.parametrize(
        "answer",
        [-12345.678, "?!", [], {}, (), object(), True, np.zeros((3, 3)), lambda *args: 1 / 0, float("nan"),
         [[1], [2, 3]], b"x", np.array(["a"]), 1j],
    )  # fmt: skip
    def test_nonsense_is_wrong_and_never_raises(self, exercise, answer):
        found = verdict(exercise.id, answer)
        assert found.status == "wrong"
        assert "\n" not in found.text

    def test_it_has_all_it_needs(self, exercise):
        assert re.fullmatch(r"\d\d\.\d+", exercise.id)
        assert exercise.difficulty in (1, 2, 3)
        assert exercise.minutes > 0
        assert len(exercise.hints) >= 3
        assert exercise.title
        assert exercise.because

    def test_its_lesson_asks_it_word_for_word_and_leaves_it_open(self, exercise):
        (path,) = SOURCES.glob(f"{exercise.id[:2]}_*.py")
        source = path.read_text()
        text = words(re.sub(r"(?m)^# ?", "", source))
        assert words(exercise.question) in text
        assert f"### {exercise.id} {exercise.title}" in text
        assert f'check("{exercise.id}"' in source

    def test_its_lesson_says_how_long_it_takes_and_why_it_matters(self, exercise):
        (path,) = SOURCES.glob(f"{exercise.id[:2]}_*.py")
        text = re.sub(r"(?m)^# ?", "", path.read_text())
        line = re.search(rf"### {re.escape(exercise.id)} [^\n]*\n\n\*([^*]+)\*\n", text)[1]
        assert f"{exercise.minutes} minute" in line
        assert " because " in words(line) or ": " in line


def test_ids_are_unique_and_in_order():
    ids = [exercise.id for exercise in ALL]
    assert len(set(ids)) == len(ids)
    for number in {id[:2] for id in ids}:
        assert [id for id in ids if id[:2] == number] == [
            f"{number}.{n}" for n in range(1, 1 + sum(id[:2] == number for id in ids))
        ]


def test_check_prints_one_line(install, capsys):
    install(graders.number(2.0))
    for answer in (2, 3, ...):
        check("99.1", answer)
    assert capsys.readouterr().out.splitlines() == [
        "✓ 99.1 Right. So it is.",
        "✗ 99.1 Not yet: 3 is too large.",
        '… 99.1 Not answered yet. hint("99.1") helps.',
    ]


def test_hints_and_solution(install, capsys):
    install(graders.number(2.0))
    hint("99.1")
    hint("99.1", 2)
    solution("99.1")
    assert capsys.readouterr().out.splitlines() == [
        '99.1 hint 1 of 2: one Another: hint("99.1", 2).',
        '99.1 hint 2 of 2: two No more hints: solution("99.1").',
        "# 99.1 t",
        "answer = 1",
    ]
    with pytest.raises(ValueError, match=r"has hints 1 to 2; there is no hint 3"):
        hint("99.1", 3)


def test_an_unknown_exercise_is_named_with_its_neighbours(install):
    install(graders.number(2.0))
    with pytest.raises(ValueError, match=r"no exercise '99.2'. That lesson has 99.1"):
        check("99.2", 1)
    with pytest.raises(ValueError, match=r"no exercise '42.1'. That lesson has none"):
        hint("42.1")
    with pytest.raises(ValueError, match="An id is lesson and number"):
        verdict("nonsense", 1)


def test_what_an_answer_raises_is_told(install):
    def fails(x):
        raise KeyError("a\nb")

    install(graders.function(lambda x: x, ((np.ones(2),),)))
    assert verdict("99.1", fails).text == r"✗ 99.1 Not yet: checking your answer raised KeyError: 'a\nb'."
    install(graders.function(lambda x: x, ((np.ones(2),),)))
    assert "TypeError" in verdict("99.1", lambda: 3).text


def test_a_function_that_returns_nothing_yet_is_empty(install):
    install(graders.function(lambda x: x, ((np.ones(2),),)))
    assert verdict("99.1", lambda x: None).status == "empty"
    assert verdict("99.1", lambda x: ...).status == "empty"

    def grade(answer):
        raise Unanswered

    install(grade)
    assert verdict("99.1", "something").status == "empty"


@pytest.mark.parametrize(
    "answer", [98, 98.0, "98", " 98.0 ", np.float32(98), np.array([98]), jnp.array(98.0), "9_8", [98]]
)
def test_a_number_in_any_form(answer):
    assert graders.number(98)(answer) is None


def test_numbers_and_their_mistakes():
    grade = graders.number(1024, mistakes=((512, "half of it"),))
    assert grade("1,024") is None
    assert grade(512) == "half of it"
    assert grade(2000) == "2,000 is too large"
    assert grade(-1) == "-1 is too small"
    assert grade([1, 2]) == "expected a number, got list [1, 2]"
    assert grade(True).startswith("expected a number, got bool")
    assert grade("many").startswith("expected a number, got str")
    assert graders.number(3, otherwise="count again")(5) == "count again"


@pytest.mark.parametrize("answer", ["b", "B", " (B) ", "B.", "'b'"])
def test_a_letter_in_any_form(answer):
    assert graders.choice("B", {"A": "no"})(answer) is None


def test_letters_and_their_reasons():
    grade = graders.choice("B", {"A": "no", "C": "never"})
    assert grade("a") == "no"
    assert grade("D") == "expected one of A, B, C, got str 'D'"
    assert grade(2).startswith("expected one of A, B, C, got int")


@pytest.mark.parametrize(
    "answer",
    [(2, 3), [2, 3], "2, 3", "(2, 3)", "2 x 3", np.array([2, 3]), jnp.array([2, 3]), np.zeros((2, 3)), (2.0, 3.0)],
)
def test_a_shape_in_any_form(answer):
    assert graders.shape((2, 3))(answer) is None


def test_shapes_and_their_mistakes():
    grade = graders.shape((2, 3), mistakes=(((2, 4), "four?"),))
    assert grade((2, 4)) == "four?"
    assert grade((3, 2)) == "(3, 2) has the right numbers in another order"
    assert grade((2, 3, 1)) == "(2, 3, 1) has 3 axes, expected 2"
    assert grade((2, 5)) == "axis 1 of (2, 5) has another length"
    assert grade("two by three").startswith("expected a shape such as")
    assert grade(4).startswith("expected a shape such as")


def test_arrays_in_any_form_and_their_mistakes():
    grade = graders.array([[1.0, 2.0]], mistakes=(([[2.0, 1.0]], "turned round"),))
    assert grade([[1, 2]]) is None
    assert grade(jnp.array([[1.0, 2.0]])) is None
    assert grade(((2, 1),)) == "turned round"
    assert grade([1, 2]) == "the result has shape (2,), expected (1, 2)"
    assert grade([[1, 2.5]]) == "the shape is right, but the numbers differ by up to 0.5 at (0, 1)"
    assert "NaN" in grade([[1, np.nan]])
    assert grade("x").startswith("expected numbers")


def test_functions_are_tried_with_numpy_and_with_jax():
    grade = graders.function(
        lambda x: np.array([9.0, *x[1:]]), ((np.arange(3.0),),), mistakes=((lambda x: x, "nothing done"),)
    )

    def with_numpy(x):
        x[0] = 9
        return x

    assert grade(with_numpy) is None
    assert grade(with_numpy) is None, "the first try changed the cases"
    assert grade(lambda x: x.at[0].set(9)) is None
    assert grade(lambda x: list(x)) == "nothing done"
    assert "differ by up to" in grade(lambda x: x * 2)
    assert grade(3) == "expected a function, got int 3"
