//! Which known names an unknown one may have been meant to be.

/// How many are suggested.
const SUGGESTIONS_MAX: usize = 3;

/// A name longer than this (in characters) is compared with none, which bounds the cost of a file
/// full of nonsense: 128² steps for each known name.
const NAME_CHARS_MAX: usize = 128;

/// Those of `known` that differ from `name` in at most a third of its characters (two for a short
/// name), nearest first, then by name; at most three.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Vec<&'k str> {
    let wanted: Vec<char> = name.chars().collect();
    if wanted.len() > NAME_CHARS_MAX {
        return Vec::new();
    }
    let reach = (wanted.len() / 3).max(2);
    let mut found: Vec<(usize, &str)> = known
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= reach)
        .map(|candidate| (edits(&wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .collect();
    found.sort_unstable();
    found.into_iter().take(SUGGESTIONS_MAX).map(|(_, candidate)| candidate).collect()
}

/// How many characters must be inserted, deleted or replaced to get from one to the other.
///
/// Source: Levenshtein 1966, by rows (Wagner & Fischer 1974).
fn edits(from: &[char], to: &str) -> usize {
    let first: Vec<usize> = (0..=from.len()).collect();
    let last = to.chars().enumerate().fold(first, |row, (taken, letter)| {
        let mut left = taken + 1;
        let cells = from.iter().zip(row.iter().zip(row.iter().skip(1)));
        let rest = cells.map(|(other, (diagonal, above))| {
            left = (diagonal + usize::from(*other != letter)).min(above + 1).min(left + 1);
            left
        });
        std::iter::once(taken + 1).chain(rest).collect()
    });
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_as_published() {
        // kitten/sitting and saturday/sunday are the usual worked examples.
        let cases = [
            ("kitten", "sitting", 3),
            ("saturday", "sunday", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("same", "same", 0),
            ("é😀", "e😀", 1),
            ("ab", "ba", 2),
        ];
        for (from, to, expected) in cases {
            let letters: Vec<char> = from.chars().collect();
            assert_eq!(edits(&letters, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn the_nearest_come_first_and_the_far_not_at_all() {
        let known =
            ["card_velocity__count_1h", "card_velocity__count_1d", "ip_velocity__count_1h", "currency"];
        let found = nearest("card_velocity__cuont_1h", known.into_iter());
        assert_eq!(found, ["card_velocity__count_1h", "card_velocity__count_1d", "ip_velocity__count_1h"]);
        assert_eq!(nearest("curency", known.into_iter()), ["currency"]);
        assert!(nearest("weather", known.into_iter()).is_empty());
        assert!(nearest(&"x".repeat(4096), known.into_iter()).is_empty());
    }
}
