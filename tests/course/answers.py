"""What is tested for every lesson's table of right and wrong answers."""

from collections import Counter

from perceiver_lab.course.exercises import lesson, verdict


class Answers:
    """A lesson's tests derive from this and fill in its number and its answers; `pytest_generate_tests` reads them.

    `right` holds (id, answer), `wrong` (id, answer, a part of what is said about it).
    """

    number: str
    right: list[tuple]
    wrong: list[tuple]

    def test_right_answers_are_accepted(self, right):
        id, answer = right
        found = verdict(id, answer)
        assert found.status == "right", found.text

    def test_wrong_answers_are_diagnosed(self, wrong):
        id, answer, diagnosis = wrong
        found = verdict(id, answer)
        assert found.status == "wrong"
        assert diagnosis in found.text
        assert "\n" not in found.text

    def test_every_exercise_has_a_right_answer_and_three_mistakes(self):
        right, wrong = (Counter(answer[0] for answer in answers) for answers in (self.right, self.wrong))
        ids = {exercise.id for exercise in lesson(self.number)}
        assert set(right) == set(wrong) == ids
        assert min(wrong.values()) >= 3
