#!/usr/bin/env python3
"""Writes vectors.json: what `quality.expected` has to say in a few made-up stories.

Everything is computed from the text of docs/quality.md ("While labels are missing") and the bins of src/drift/sketch/bin.rs, so that
the program is held against a second reading of its documentation, not against itself.

vectors.json is {"k": 100, "scenarios": [{"name", "steps"}]}. A step is one of
    {"labels": [[day, score, is_positive, is_open], ...]}   these labels become known; not open: their day is judged no more
    {"scores": [day, [score, ...]]}                         scores of the day were judged
    {"publish": day, "final": [day, ...], "records": [...]} an hour begins, at 00:00 of the day; these records must be published
In the records `calibrated_by` and `compared_days` (that of `positive_rate`) are not rounded.

Run it without arguments; the same numbers come out each time. It checks its own derivatives by differences of fifty digits, refuses
to write numbers that hang on the last bit of a comparison, and fails if a story no longer shows what it is there to show.
"""

import bisect
import functools
import json
import math
import random
import struct
from collections import Counter, namedtuple
from decimal import Decimal, getcontext
from pathlib import Path

K = 100
FADE = 0.97
LABELS_OF_A_GROUP = 30
LEAST_LABELS = 300
LEAST_OF_EITHER_OUTCOME = 10
LEAST_LABELS_COMPARED = 50
MOST_ERRORS = 10
WEIGHT_OF_NO_DAYS = 5
CLOSEST_TO_CERTAIN = 1e-6
FIGURES = ("average_precision", "brier", "log_loss", "positive_rate", "precision_at_k")

FIRST_DAY = 20_454

getcontext().prec = 50
SEEN = Counter()


def note(what):
    """Remembers that a story has shown this, for `check_that_all_is_shown`."""
    SEEN[what] += 1


# --- Bins -------------------------------------------------------------------------------------------------------------------------

SHIFT = 48


def upper_bits(magnitude):
    """Exponent and four bits of the mantissa: sixteen steps for each doubling."""
    return struct.unpack("<Q", struct.pack("<d", magnitude))[0] >> SHIFT


FIRST_BITS = upper_bits(2.0**-20)


def bin_of(score):
    """The number of a score's bin; 0 is the one around zero. Scores are from 0 to 1, so no other end is needed."""
    return max(0, upper_bits(score) - FIRST_BITS + 1)


def lower_end(number):
    """The least score of a bin above zero."""
    return struct.unpack("<d", struct.pack("<Q", (FIRST_BITS + number - 1) << SHIFT))[0]


def score_of(number):
    """The one score that a bin stands for, at most 1: the bin of 1 itself reaches beyond."""
    if number == 0:
        return 0.0
    low, high = lower_end(number), lower_end(number + 1)
    return min(1.0, low * (2.0 * high / (low + high)))


def rounded(score):
    """Six digits, to keep the file small; in the same bin whether it is carried in 64 bits or in 32."""
    score = float(f"{score:.6g}")
    assert bin_of(score) == bin_of(struct.unpack("<f", struct.pack("<f", score))[0]), score
    return score


# --- How often is a score positive? -----------------------------------------------------------------------------------------------

Level = namedtuple("Level", "first_bin labels rate variance")
Rates = namedtuple("Rates", "levels calibrated_by")


def reaches(value, least):
    """Whether there are as many. Whole numbers are exact, others must not be so close that rounding decides."""
    assert value == round(value) or abs(value - least) > 1e-6, f"{value} is too close to {least}"
    return value >= least


def falls(lower, higher):
    """Whether the higher of two groups is not positive more often: then both are one level.

    Shares that are equal only but for rounding would be pooled by one program and not by the other, so there must be none.
    """
    left, right = lower["positives"] * higher["labels"], higher["positives"] * lower["labels"]
    if left == right:
        note("neighbours positive equally often")
        is_exact = left == 0 or all(value == round(value) for group in (lower, higher) for value in group.values())
        is_exact = is_exact or all(group["positives"] == group["labels"] for group in (lower, higher))
        assert is_exact, "a tie by chance"
    else:
        assert abs(left - right) > 1e-9 * left, "nearly a tie"
    return left >= right


def together(lower, higher):
    """Two neighbouring groups as one."""
    return {
        "first": lower["first"],
        "labels": lower["labels"] + higher["labels"],
        "positives": lower["positives"] + higher["positives"],
    }


class Calibration:
    """All labels that are known, by bin; old ones count for less."""

    def __init__(self):
        self.labels = {}
        self.positives = {}

    def learn(self, number, is_positive):
        self.labels[number] = self.labels.get(number, 0.0) + 1.0
        self.positives[number] = self.positives.get(number, 0.0) + float(is_positive)

    def fade(self):
        for tally in (self.labels, self.positives):
            for number in tally:
                tally[number] *= FADE

    def rates(self):
        """What is known now, or None while there are too few labels."""
        labels, positives = math.fsum(self.labels.values()), math.fsum(self.positives.values())
        enough = {
            "too few labels": reaches(labels, LEAST_LABELS),
            "too few positives": reaches(positives, LEAST_OF_EITHER_OUTCOME),
            "too few negatives": reaches(labels - positives, LEAST_OF_EITHER_OUTCOME),
        }
        lacking = [what for what, is_met in enough.items() if not is_met]
        if lacking:
            note(" and ".join(lacking))
            return None
        share = positives / labels
        pooled = pool(self.groups())
        return Rates([level_of(group, share) for group in pooled], labels)

    def groups(self):
        """Neighbouring bins, from the lowest up, until they have 30 labels; what is left at the top belongs to the last of them."""
        done, current = [], None
        for number in sorted(self.labels):
            one = {"first": number, "labels": self.labels[number], "positives": self.positives[number]}
            current = together(current, one) if current else one
            if reaches(current["labels"], LABELS_OF_A_GROUP):
                done.append(current)
                current = None
        if current:
            note("labels left at the top")
            done[-1] = together(done[-1], current)
        return done


def pool(groups):
    """Pools adjacent violators, so that no higher level is positive less often than a lower one."""
    levels = []
    for group in groups:
        levels.append(group)
        while len(levels) > 1 and falls(levels[-2], levels[-1]):
            higher = levels.pop()
            levels[-1] = together(levels[-1], higher)
    if len(levels) == 1 and len(groups) > 1:
        note("all pooled into one")
    elif len(levels) < len(groups):
        note("some pooled")
    return levels


def level_of(group, share):
    """Rate and variance of a level; `share` is that of all labels."""
    rate = (group["positives"] + share) / (group["labels"] + 1)
    return Level(group["first"], group["labels"], rate, rate * (1 - rate) / (group["labels"] + 2))


# --- Figures ----------------------------------------------------------------------------------------------------------------------

# The scores of one bin: the score it stands for, how many there are, how often they are positive, and the number of their level.
Cell = namedtuple("Cell", "score count rate level")


def cells_of(counts, rates):
    """The bins that have scores, from the highest down. Below all labels is as the lowest level, else the level below counts."""
    firsts = [level.first_bin for level in rates.levels]
    cells = []
    for number in sorted(counts, reverse=True):
        index = bisect.bisect_right(firsts, number) - 1
        if index < 0:
            note("a score below all that have labels")
        index = max(0, index)
        cells.append(Cell(score_of(number), counts[number], rates.levels[index].rate, index))
    return cells


def minus_ln(value):
    return -value.ln() if isinstance(value, Decimal) else -math.log(value)


@functools.cache
def losses(score, number=float):
    """What a positive costs in log loss, and what a negative does."""
    score = number(min(max(score, CLOSEST_TO_CERTAIN), 1 - CLOSEST_TO_CERTAIN))
    return minus_ln(score), minus_ln(1 - score)


def taken_of(cells):
    """How many scores of each bin are among the k highest."""
    left, taken = K, []
    for cell in cells:
        taken.append(min(left, cell.count))
        left -= taken[-1]
    return taken


def mean(values, cells):
    return sum(values) / sum(cell.count for cell in cells)


def average_precision(cells, positives):
    """Σ (gain of recall) · precision, bin by bin from the highest down; None without a positive."""
    seen, found, area = 0, 0, 0
    for cell, here in zip(cells, positives):
        seen += cell.count
        found += here
        area += here * found / seen
    return area / found if found else None


def figures_of(cells, positives, number=float):
    """All figures, if each bin has so many positives: expected or counted ones. `number` is the kind of number to reckon with."""
    brier, log_loss, highest = [], [], []
    for cell, here, taken in zip(cells, positives, taken_of(cells)):
        score = number(cell.score)
        if_positive, if_negative = losses(cell.score, number)
        brier.append(here * (1 - score) ** 2 + (cell.count - here) * score**2)
        log_loss.append(here * if_positive + (cell.count - here) * if_negative)
        highest.append(here * taken / cell.count)
    return {
        "average_precision": average_precision(cells, positives),
        "brier": mean(brier, cells),
        "log_loss": mean(log_loss, cells),
        "positive_rate": mean(positives, cells),
        "precision_at_k": sum(highest) / sum(taken_of(cells)),
    }


def slopes_of_average_precision(cells, positives):
    """∂AP/∂kⱼ. With AP = G/F and G = Σ kᵢ·Kᵢ/Sᵢ it is (Kⱼ/Sⱼ + Σ over i not above j of kᵢ/Sᵢ − AP) / F: a positive more in a
    bin finds recall there, raises the precision of it and of all below, and makes all recall a smaller part."""
    all_positives, whole = sum(positives), average_precision(cells, positives)
    seen, found = running(cell.count for cell in cells), running(positives)
    slopes, below = [], 0.0
    for j in reversed(range(len(cells))):
        below += positives[j] / seen[j]
        slopes.append((found[j] / seen[j] + below - whole) / all_positives)
    return slopes[::-1]


def running(values):
    """Sums from the first to each."""
    sums, total = [], 0
    for value in values:
        total += value
        sums.append(total)
    return sums


def slopes_of(cells, positives):
    """∂/∂kⱼ of all figures. All but average precision are sums, and the slopes do not depend on k."""
    count, taken = sum(cell.count for cell in cells), taken_of(cells)
    cost = [losses(cell.score) for cell in cells]
    return {
        "average_precision": slopes_of_average_precision(cells, positives),
        "brier": [(1 - 2 * cell.score) / count for cell in cells],
        "log_loss": [(if_positive - if_negative) / count for if_positive, if_negative in cost],
        "positive_rate": [1 / count for _ in cells],
        "precision_at_k": [here / cell.count / sum(taken) for cell, here in zip(cells, taken)],
    }


def variances_of(cells):
    """What chance does to the positives of each bin."""
    return [cell.count * cell.rate * (1 - cell.rate) for cell in cells]


def raised_by_chance(cells, positives, slopes):
    """By how much average precision is higher than at the expected positives: half its curvature times their variance."""
    seen = running(cell.count for cell in cells)
    terms = zip(variances_of(cells), seen, slopes)
    return sum(variance * (1 / above - slope) for variance, above, slope in terms) / sum(positives)


def error_of(cells, slopes, levels):
    """One standard error: of the outcomes, bin by bin, and of the rates, level by level."""
    by_chance = sum(variance * slope**2 for variance, slope in zip(variances_of(cells), slopes))
    by_level = [0] * len(levels)
    for cell, slope in zip(cells, slopes):
        by_level[cell.level] += cell.count * slope
    return (by_chance + sum(level.variance * total**2 for level, total in zip(levels, by_level))) ** 0.5


def expectation_of(counts, rates):
    """Each figure with its computed error, for scores counted by bin."""
    cells = cells_of(counts, rates)
    positives = [cell.count * cell.rate for cell in cells]
    slopes = slopes_of(cells, positives)
    expected = figures_of(cells, positives)
    expected["average_precision"] += raised_by_chance(cells, positives, slopes["average_precision"])
    result = {name: (expected[name], error_of(cells, slopes[name], rates.levels)) for name in FIGURES}
    check_by_differences(cells, rates.levels, result)
    return {name: (at_most_one(name, value), error) for name, (value, error) in result.items()}


def at_most_one(name, expected):
    """What chance adds to average precision can lead beyond 1 where there are very few scores; the schema ends there."""
    if name == "log_loss" or expected <= 1:
        return expected
    note("average precision beyond 1")
    assert name == "average_precision" and expected > 1 + 1e-6, (name, expected)
    return 1.0


def measure(counts, positives):
    """The same figures, by what the labels say."""
    numbers = sorted(counts, reverse=True)
    cells = [Cell(score_of(number), counts[number], None, None) for number in numbers]
    result = figures_of(cells, [positives[number] for number in numbers])
    check_one_by_one(counts, positives, result)
    return result


# --- Checks of the figures --------------------------------------------------------------------------------------------------------

STEP = Decimal(10) ** -12


def is_close(one, other):
    return abs(float(one) - float(other)) <= 1e-11 * max(abs(float(one)), abs(float(other)))


def check_by_differences(cells, levels, result):
    """Computes expectation and error once more without a derivative from the books: by differences of fifty digits."""
    middle = [Decimal(cell.count) * Decimal(cell.rate) for cell in cells]
    variances = [here * (1 - Decimal(cell.rate)) for cell, here in zip(cells, middle)]
    at_middle = figures_of(cells, middle, Decimal)
    slopes, curvature = {name: [] for name in FIGURES}, Decimal(0)
    for j, variance in enumerate(variances):
        above, below = (figures_of(cells, middle[:j] + [middle[j] + step] + middle[j + 1 :], Decimal) for step in (STEP, -STEP))
        for name in FIGURES:
            slopes[name].append((above[name] - below[name]) / (2 * STEP))
        name = "average_precision"
        curvature += variance * (above[name] - 2 * at_middle[name] + below[name]) / STEP**2
    at_middle["average_precision"] += curvature / 2
    for name in FIGURES:
        expected, error = result[name]
        by_chance = sum(variance * slope**2 for variance, slope in zip(variances, slopes[name]))
        by_level = [Decimal(0)] * len(levels)
        for cell, slope in zip(cells, slopes[name]):
            by_level[cell.level] += cell.count * slope
        by_rates = sum(Decimal(level.variance) * total**2 for level, total in zip(levels, by_level))
        assert is_close(at_middle[name], expected), (name, at_middle[name], expected)
        assert is_close((by_chance + by_rates).sqrt(), error), (name, (by_chance + by_rates).sqrt(), error)
        assert expected >= 0 and error > 0, (name, expected, error)


def check_one_by_one(counts, positives, result):
    """Computes what was measured once more, from single scores instead of bins."""
    outcomes = [(number, i < positives[number]) for number in counts for i in range(counts[number])]
    outcomes.sort(reverse=True)
    number_of_positives = sum(positives.values())
    by_hand = {
        "positive_rate": math.fsum(outcome for _, outcome in outcomes) / len(outcomes),
        "brier": math.fsum((score_of(number) - outcome) ** 2 for number, outcome in outcomes) / len(outcomes),
        "log_loss": math.fsum(losses(score_of(number))[0 if outcome else 1] for number, outcome in outcomes) / len(outcomes),
    }
    # Of those tied with the last of the k highest, each has the same chance to be among them.
    last = outcomes[min(K, len(outcomes)) - 1][0]
    tied = [outcome for number, outcome in outcomes if number == last]
    above = [outcome for number, outcome in outcomes if number > last]
    room = min(K, len(outcomes))
    by_hand["precision_at_k"] = (sum(above) + sum(tied) / len(tied) * (room - len(above))) / room
    # Each positive counts with the precision among all scores that are not lower than its own.
    if number_of_positives:
        precision = {}
        for number in counts:
            not_lower = [outcome for other, outcome in outcomes if other >= number]
            precision[number] = sum(not_lower) / len(not_lower)
        by_hand["average_precision"] = math.fsum(precision[number] for number, outcome in outcomes if outcome) / number_of_positives
    else:
        assert result["average_precision"] is None
    for name, value in by_hand.items():
        assert is_close(value, result[name]), (name, value, result[name])


# --- What is published ------------------------------------------------------------------------------------------------------------


class Day:
    """What is known of the scores of one day."""

    def __init__(self):
        self.scores = Counter()
        self.labels = Counter()
        self.positives = Counter()
        self.has_changed = False
        self.rates = None
        self.revision = 0


class Comparison:
    """How far one figure was off on days that are final; old ones count for less."""

    def __init__(self):
        self.days = 0.0
        self.squares = 0.0

    def fade(self):
        self.days *= FADE
        self.squares *= FADE

    def add(self, expected, error, measured):
        errors = abs(measured - expected) / error
        if errors > MOST_ERRORS:
            note(f"more than {MOST_ERRORS} errors")
        self.days += 1
        self.squares += min(errors, MOST_ERRORS) ** 2

    def factor(self):
        return math.sqrt((self.squares + WEIGHT_OF_NO_DAYS) / (self.days + WEIGHT_OF_NO_DAYS))


class Judge:
    """Takes the steps of one score name, and says what is to be published."""

    def __init__(self):
        self.calibration = Calibration()
        self.comparisons = {name: Comparison() for name in FIGURES}
        self.days = {}
        self.published_on = None
        self.first_open_day = FIRST_DAY

    def take(self, step):
        if "labels" in step:
            for label in step["labels"]:
                self.label(*label)
        elif "scores" in step:
            self.score(*step["scores"])
        else:
            step["records"] = self.publish(step["publish"], step["final"])

    def label(self, day, score, is_positive, is_open):
        assert is_open == (day >= self.first_open_day), "a day is judged from the first one on until it is final"
        number = bin_of(score)
        self.calibration.learn(number, is_positive)
        if is_open:
            known = self.days.setdefault(day, Day())
            known.labels[number] += 1
            known.positives[number] += is_positive

    def score(self, day, scores):
        assert day >= self.first_open_day
        known = self.days.setdefault(day, Day())
        known.scores.update(bin_of(score) for score in scores)
        known.has_changed = True

    def publish(self, today, final):
        self.let_pass(today)
        records = []
        for number in sorted(self.days):
            day, is_final = self.days[number], number in final
            made_anew = day.has_changed
            if made_anew:
                self.calibrate(day)
            if (made_anew or is_final) and day.rates and day.scores:
                records.append(self.record(number, day, is_final))
            if is_final:
                self.compare(day)
        self.forget(final)
        return records

    def let_pass(self, today):
        """Old labels and old comparisons count for less each day."""
        passed = 0 if self.published_on is None else today - self.published_on
        assert self.published_on is None or passed > 0, "an hour begins once"
        for _ in range(passed):
            self.calibration.fade()
            for comparison in self.comparisons.values():
                comparison.fade()
        self.published_on = today

    def calibrate(self, day):
        """The rates of a day are those at the time at which the last of its scores were judged."""
        rates = self.calibration.rates()
        if day.rates and not rates:
            note("rates lost again")
        if rates:
            self.note_gaps(day, rates)
        day.rates = rates
        day.has_changed = False

    def note_gaps(self, day, rates):
        labelled = self.calibration.labels
        for number in day.scores:
            if number not in labelled and min(labelled) < number < max(labelled):
                note("a score in a gap")
            if number not in labelled and number > max(labelled):
                note("a score above all that have labels")

    def compare(self, day):
        if not day.rates:
            note("labels without scores" if day.labels and not day.scores else "final without rates")
            return
        if day.labels.total() < LEAST_LABELS_COMPARED:
            note("final with too few labels to compare")
            return
        measured = measure(day.labels, day.positives)
        for name, (expected, error) in expectation_of(day.labels, day.rates).items():
            if measured[name] is None:
                note("labelled scores without a positive, not compared")
            elif error > 0:
                self.comparisons[name].add(expected, error, measured[name])

    def record(self, number, day, is_final):
        day.revision += 1
        scored, labelled = day.scores.total(), day.labels.total()
        note("fewer than k scores" if scored < K else "more than k scores")
        note_cut(day.scores)
        return {
            "day": number,
            "revision": day.revision,
            "is_final": is_final,
            "scored": scored,
            "labelled": labelled,
            "calibrated_by": day.rates.calibrated_by,
            "compared_days": self.comparisons["positive_rate"].days,
            "figures": self.figures(day, is_final and labelled > 0),
        }

    def figures(self, day, with_labelled):
        figures = {
            name: {"expected": expected, "error": error * self.comparisons[name].factor(), "of_labelled": None}
            for name, (expected, error) in expectation_of(day.scores, day.rates).items()
        }
        if with_labelled:
            measured = measure(day.labels, day.positives)
            for name, (expected, _) in expectation_of(day.labels, day.rates).items():
                if measured[name] is not None:
                    figures[name]["of_labelled"] = {"expected": expected, "measured": measured[name]}
        return figures

    def forget(self, final):
        """No label of these days is waited for any longer, nor of any day before."""
        for number in final:
            self.days.pop(number, None)
            self.first_open_day = max(self.first_open_day, number + 1)
        assert all(number >= self.first_open_day for number in self.days), "days end in their order"


def note_cut(counts):
    """Whether the k highest end within a bin."""
    above = 0
    for number in sorted(counts, reverse=True):
        if above < K < above + counts[number]:
            note("k ends in the highest bin" if above == 0 else "k ends within a bin")
        above += counts[number]


# --- Stories ----------------------------------------------------------------------------------------------------------------------


class Story:
    """The steps of one score name as they are written. Only `random()` is drawn from: it gives the same in every Python."""

    def __init__(self, name, seed):
        self.name = name
        self.chance = random.Random(seed).random
        self.steps = []

    def payments(self, day, count, often, spread=None):
        """So many payments of a day, as (day, score, is_positive); `often` says how often a score is positive."""
        spread = spread or self.usual_score
        made = []
        for _ in range(count):
            score = rounded(spread())
            made.append((day, score, self.chance() < often(score)))
        return made

    def usual_score(self):
        """Most are low, and some are at the ends or nearly."""
        extreme = self.chance()
        for share, score in ((0.01, 0.0), (0.02, 1.0), (0.03, 1e-9), (0.04, 9.6e-7), (0.05, 0.999999)):
            if extreme < share:
                return score
        return self.chance() ** 4

    def between(self, low, high):
        """Evenly spread scores."""
        return lambda: low + (high - low) * self.chance()

    def sample(self, payments, share):
        """Some of them: those that get a label, or get it now."""
        return [payment for payment in payments if self.chance() < share]

    def label(self, payments, is_open=True):
        if payments:
            self.steps.append({"labels": [[*payment, is_open] for payment in payments]})

    def score(self, day, payments):
        if payments:
            self.steps.append({"scores": [day, [score for _, score, _ in payments]]})

    def publish(self, day, final=()):
        self.steps.append({"publish": day, "final": list(final)})

    def told(self):
        """With the records that must come of it."""
        judge = Judge()
        for step in self.steps:
            judge.take(step)
        return {"name": self.name, "steps": self.steps}


def as_said(score):
    """A score that is right: so often it is positive."""
    return score


def rarely(score):
    return 0.02 + 0.1 * score


def never(_):
    return False


def always(_):
    return True


def too_few_then_enough():
    """Labels come in until there are enough; a day that is not judged again meanwhile has no rates to the end."""
    story, day = Story("too few labels, then enough", 21), FIRST_DAY
    first = story.payments(day, 60, as_said)
    story.score(day, first)
    story.label(story.payments(day - 9, 299, as_said), is_open=False)
    story.publish(day + 1)
    second = story.payments(day + 1, 130, as_said)
    story.score(day + 1, second)
    story.publish(day + 2)
    story.label(story.sample(second, 0.3))
    story.label(story.payments(day - 8, 240, as_said), is_open=False)
    story.score(day + 1, story.payments(day + 1, 20, as_said))
    third = story.payments(day + 2, 100, as_said)
    story.score(day + 2, third)
    story.publish(day + 3)
    story.label(first)
    story.publish(day + 4, final=[day])
    story.label(story.sample(third, 0.8))
    story.publish(day + 6, final=[day + 1, day + 2])
    # Two scores of a day, one that is nearly always positive and one that seldom is.
    story.label(story.payments(day - 1, 500, always, story.between(0.9, 1)), is_open=False)
    story.label(story.payments(day - 1, 300, never, story.between(0.1, 0.3)), is_open=False)
    story.score(day + 6, [(day + 6, 0.97, True), (day + 6, 0.21, False)])
    story.publish(day + 7)
    story.label([(day + 6, 0.97, True), (day + 6, 0.21, False)])
    story.publish(day + 8, final=[day + 6])
    return story


def exactly_enough_then_forgotten():
    """The least of everything is enough, and is not a day later: a day judged again loses its rates, another keeps them."""
    story, day = Story("exactly enough labels, then forgotten", 21), FIRST_DAY
    # Groups of exactly 30, two of which are alike, one of which is a violator; positives are 10 of 300.
    positives_of = {0.0: 0, 0.004: 0, 0.03: 1, 0.07: 0, 0.11: 1, 0.2: 1, 0.33: 2, 0.47: 1, 0.71: 1}
    for score, positives in positives_of.items():
        story.label([(day - 5, score, i < positives) for i in range(30)], is_open=False)
    story.label([(day - 5, 0.8, i < 2) for i in range(20)] + [(day - 5, 0.9, i < 1) for i in range(10)], is_open=False)
    kept, lost = story.payments(day, 90, rarely), story.payments(day + 1, 110, rarely)
    story.score(day, kept)
    story.score(day + 1, lost)
    story.publish(day + 2)
    story.score(day + 1, story.payments(day + 1, 5, rarely))
    story.publish(day + 3)
    story.label(kept[:3])
    story.publish(day + 5, final=[day])
    story.label([(day + 1, score, False) for _, score, _ in lost[:60]])
    story.publish(day + 6)
    # Now there are labels enough, and still too few that are positive.
    story.label(story.payments(day - 4, 300, never), is_open=False)
    story.score(day + 1, story.payments(day + 1, 5, rarely))
    story.publish(day + 7)
    story.publish(day + 8, final=[day + 1])
    story.label(story.payments(day - 3, 60, as_said), is_open=False)
    story.score(day + 7, story.payments(day + 7, 50, rarely))
    story.publish(day + 9)
    return story


def a_month():
    """Scores that mean what they say, day after day; labels come within five days, and a day is final after six."""
    story, wait = Story("a month", 41), 6
    days = range(FIRST_DAY, FIRST_DAY + 13)
    story.label(story.payments(FIRST_DAY - 3, 500, as_said), is_open=False)
    payments = {day: story.payments(day, 50 + int(130 * story.chance()), as_said) for day in days}
    comes_after = {day: [1 + int(8 * story.chance() ** 2) for _ in payments[day]] for day in days}
    for today in range(FIRST_DAY, days.stop + wait + 1):
        for day in days:
            # A label that takes six days or seven would come when its day may be final or not; it never comes.
            age = today - day
            now = [payment for payment, after in zip(payments[day], comes_after[day]) if after == age]
            if age < wait or age > wait + 1:
                story.label(now, is_open=age < wait)
        # Half of a day's scores are judged a day late, so that a day has more than one record.
        story.score(today, payments.get(today, [])[::2])
        story.score(today - 1, payments.get(today - 1, [])[1::2])
        # On some days nothing is published: the next time more than one has passed.
        if today % 5 != 3:
            story.publish(today + 1, final=[day for day in days if wait <= today - day <= wait + 1])
    return story


def higher_less_often():
    """The higher the score, the less often it is positive: one level for all, until other labels put it right in part."""
    story, day = Story("the higher, the less often", 31), FIRST_DAY
    story.label(story.payments(day - 7, 350, always), is_open=False)
    story.label(story.payments(day - 7, 9, never), is_open=False)
    payments = story.payments(day, 140, as_said)
    story.score(day, payments)
    story.publish(day + 1)
    story.label(story.payments(day - 6, 300, lambda score: score < 0.05), is_open=False)
    story.score(day, story.payments(day, 1, as_said))
    following = story.payments(day + 1, 40, as_said)
    story.score(day + 1, following)
    story.publish(day + 2)
    story.label(story.sample(payments, 0.7))
    story.label(story.payments(day - 5, 500, lambda score: score > 0.3), is_open=False)
    story.score(day + 1, story.payments(day + 1, 30, as_said))
    story.publish(day + 4)
    story.label(following)
    story.publish(day + 5, final=[day])
    story.score(day + 2, story.payments(day + 2, 101, as_said))
    story.publish(day + 6, final=[day + 1])
    story.publish(day + 9, final=[day + 2])
    return story


def gaps_and_a_thin_top():
    """Labels only of some scores, and few of the highest; a day with so many ones that the k highest are all tied."""
    story, day = Story("gaps and a thin top", 33), FIRST_DAY
    story.label(story.payments(day - 2, 260, rarely, story.between(0.04, 0.2)), is_open=False)
    story.label(story.payments(day - 2, 90, as_said, story.between(0.55, 0.75)), is_open=False)
    story.label(story.payments(day - 2, 7, always, story.between(0.85, 0.93)), is_open=False)
    everywhere = story.payments(day, 120, as_said, story.between(0, 1)) + story.payments(day, 60, as_said)
    story.score(day, everywhere)
    ones = [(day + 1, 1.0, True)] * 115 + story.payments(day + 1, 60, as_said)
    story.score(day + 1, ones)
    below = story.payments(day + 2, 55, rarely, story.between(0, 0.03))
    below += [(day + 2, score, False) for score in (0.0, 1e-9, 1e-30, 1e-6)]
    story.score(day + 2, below)
    story.publish(day + 3)
    story.label(story.sample(everywhere, 0.6) + [(day + 1, 1.0, i % 4 > 0) for i in range(110)] + story.sample(below, 0.95))
    story.publish(day + 4, final=[day])
    story.score(day + 1, story.payments(day + 1, 25, as_said, story.between(0.2, 1)))
    story.publish(day + 5)
    story.score(day + 3, story.payments(day + 3, 70, as_said, story.between(0.0, 1)))
    story.publish(day + 8, final=[day + 1, day + 2])
    story.publish(day + 9, final=[day + 3])
    return story


def wrong_expectations():
    """Scores come to mean something else, and what is said of errors follows; days with too few labels say nothing."""
    story, day = Story("wrong expectations", 21), FIRST_DAY
    story.label(story.payments(day - 1, 800, rarely), is_open=False)
    wrong = story.payments(day, 150, lambda score: 0.9)
    right = story.payments(day + 1, 160, rarely)
    days = {n: story.payments(day + n, 75, rarely) for n in (2, 3, 5, 6, 7, 8)}
    story.score(day, wrong)
    story.score(day + 1, right)
    for n in (2, 3, 5):
        story.score(day + n, days[n])
    story.label(story.payments(day + 4, 70, rarely))
    story.publish(day + 6)
    story.label(wrong[:120] + right[:100] + days[2][:49] + days[3][:50])
    story.score(day + 6, days[6])
    story.publish(day + 7, final=[day])
    story.score(day + 1, story.payments(day + 1, 3, rarely))
    story.score(day + 3, story.payments(day + 3, 3, rarely))
    story.score(day + 6, story.payments(day + 6, 3, rarely))
    # In one hour: a day compared, one with a label too few, one with just enough, one that has labels but no scores, and one
    # that has scores but no labels.
    story.publish(day + 8, final=[day + 1, day + 2, day + 3, day + 4, day + 5])
    story.label([(day + 6, score, False) for _, score, _ in days[6][:60]] + [(day + 7, days[7][0][1], True)])
    story.score(day + 7, days[7])
    story.publish(day + 10, final=[day + 6])
    story.label([(day + 2, 0.3, True), (day + 6, 0.6, False)], is_open=False)
    story.score(day + 8, days[8])
    story.label([(day + 8, score, False) for _, score, _ in days[8][:20]])
    story.publish(day + 13, final=[day + 7])
    story.publish(day + 14, final=[day + 8])
    return story


STORIES = (
    too_few_then_enough,
    exactly_enough_then_forgotten,
    a_month,
    higher_less_often,
    gaps_and_a_thin_top,
    wrong_expectations,
)

TO_BE_SHOWN = (
    "a score above all that have labels",
    "a score below all that have labels",
    "a score in a gap",
    "all pooled into one",
    "average precision beyond 1",
    "fewer than k scores",
    "final with too few labels to compare",
    "final without rates",
    "k ends in the highest bin",
    "k ends within a bin",
    "labelled scores without a positive, not compared",
    "labels left at the top",
    "labels without scores",
    f"more than {MOST_ERRORS} errors",
    "more than k scores",
    "neighbours positive equally often",
    "rates lost again",
    "some pooled",
    "too few labels",
    "too few negatives",
    "too few positives",
)


def check_that_all_is_shown():
    missing = [what for what in TO_BE_SHOWN if not SEEN[what]]
    assert not missing, f"no story shows: {missing}"


def written(scenarios):
    """JSON with one step on a line, so that a change of one can be seen."""
    parts = []
    for scenario in scenarios:
        steps = ",\n".join(json.dumps(step, separators=(",", ":"), allow_nan=False) for step in scenario["steps"])
        parts.append(f'{{"name":{json.dumps(scenario["name"])},"steps":[\n{steps}\n]}}')
    return f'{{"k":{K},"scenarios":[\n' + ",\n".join(parts) + "\n]}\n"


def main():
    text = written([story().told() for story in STORIES])
    check_that_all_is_shown()
    Path(__file__).with_name("vectors.json").write_text(text)


if __name__ == "__main__":
    main()
