//! Who hears of what.

use super::revision::{AlertTopic, Revision};
use crate::event::alert::{AlertKind, Severity};

/// What a receiver hears of. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// How soon somebody has to know.
    pub severities: Vec<Severity>,
    /// What sort of thing it is.
    pub kinds: Vec<AlertKind>,
    /// Where it was published.
    pub topics: Vec<AlertTopic>,
}

impl Filter {
    /// Whether `revision` may go through.
    pub(super) fn passes(&self, revision: &Revision) -> bool {
        let alert = &revision.alert;
        is_in(&self.severities, alert.severity)
            && is_in(&self.kinds, alert.kind)
            && is_in(&self.topics, revision.topic)
    }
}

fn is_in<T: PartialEq>(wanted: &[T], found: T) -> bool {
    wanted.is_empty() || wanted.contains(&found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::revision;

    #[test]
    fn a_filter_lets_through_what_is_in_each_of_its_lists_and_an_empty_list_holds_nothing_up() {
        let page = revision(1);
        let severities =
            |severities: &[Severity]| Filter { severities: severities.into(), ..Filter::default() };
        let kinds = |kinds: &[AlertKind]| Filter { kinds: kinds.into(), ..Filter::default() };
        let topics = |topics: &[AlertTopic]| Filter { topics: topics.into(), ..Filter::default() };
        let cases = [
            (Filter::default(), true),
            (severities(&[Severity::Page]), true),
            (severities(&[Severity::Info, Severity::Ticket]), false),
            (kinds(&[AlertKind::DataDrift]), true),
            (kinds(&[AlertKind::Volume]), false),
            (topics(&[AlertTopic::Business, AlertTopic::Drift]), true),
            (topics(&[AlertTopic::Fraud]), false),
        ];
        for (filter, expected) in cases {
            assert_eq!(filter.passes(&page), expected, "{filter:?}");
        }
    }
}
