//! Cases worked out by hand from `docs/features.md`: edges before, at and after.

use super::*;
use crate::event::{FieldId, Value};
use crate::time::EventTime;
use std::collections::BTreeMap;
use std::time::Duration;

const LATENESS_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;

/// One key of the only group of a file. Answers go by the second half of their names, and are written
/// out, for `1.5` is the same number as text.
struct Key {
    plan: FeaturePlan,
    state: GroupState,
    estimates: BTreeMap<String, String>,
}

impl Key {
    /// A key of one view; `rest` is what its line says beside name and entity.
    fn new(source: &str, rest: &str) -> Key {
        Key::viewed(source, &[rest])
    }

    /// A key of several views, whose windows are spelled differently, for their names are left out.
    fn viewed(source: &str, views: &[&str]) -> Key {
        let line = |(n, rest)| format!("{{name: v{n}, entity: card, source: {source}, {rest}}}");
        let lines: Vec<String> = views.iter().enumerate().map(line).collect();
        let spec: FeaturesSpec = serde_saphyr::from_str(&format!("views: [{}]", lines.join(", "))).unwrap();
        let lateness = Duration::from_millis(LATENESS_MS.unsigned_abs());
        let plan = FeaturePlan::compile(&spec, lateness).unwrap();
        let state = GroupState::new(plan.groups().next().unwrap());
        Key { plan, state, estimates: BTreeMap::new() }
    }

    fn paying(rest: &str) -> Key {
        Key::new("payment_attempted", rest)
    }

    fn group(&self) -> &Group {
        self.plan.groups().next().unwrap()
    }

    fn named(&self, values: Vec<(u32, f64)>) -> BTreeMap<String, String> {
        let local = |id| self.plan.name_of(id).split_once("__").unwrap().1.to_owned();
        values.into_iter().map(|(id, value)| (local(id), value.to_string())).collect()
    }

    fn fold(&mut self, at: i64, values: &[(FieldId, Value)]) {
        let group = self.plan.groups().next().unwrap();
        self.state.fold(group, EventTime(at), values);
    }

    fn ask(&mut self, at: i64) -> BTreeMap<String, String> {
        let (mut out, mut estimates) = (Vec::new(), Vec::new());
        self.state.evaluate(self.group(), EventTime(at), &mut out, &mut estimates);
        self.estimates = self.named(estimates);
        self.named(out)
    }

    /// The error of a feature of the last answer.
    fn estimate(&self, name: &str) -> Option<&str> {
        self.estimates.get(name).map(String::as_str)
    }

    fn pay(&mut self, at: i64, values: &[(FieldId, Value)]) -> BTreeMap<String, String> {
        let (mut out, mut estimates) = (Vec::new(), Vec::new());
        let group = self.plan.groups().next().unwrap();
        self.state.fold_and_evaluate(group, EventTime(at), values, &mut out, &mut estimates);
        self.estimates = self.named(estimates);
        self.named(out)
    }
}

fn amount(minor: i64) -> (FieldId, Value) {
    (FieldId::AmountMinor, Value::Number(minor))
}

fn page(hash: u64) -> (FieldId, Value) {
    (FieldId::Page, Value::Hash(hash))
}

#[test]
fn a_window_leaves_out_its_start_and_includes_its_end() {
    let table = [(-1, 0), (0, 1), (1, 1), (MINUTE_MS - 1, 1), (MINUTE_MS, 0), (MINUTE_MS + 1, 0)];
    for (after, expected) in table {
        let mut key = Key::paying("windows: [1m], features: [count]");
        key.fold(100_000, &[]);
        assert_eq!(key.ask(100_000 + after)["count_1m"], expected.to_string(), "{after}");
    }
}

#[test]
fn a_delay_moves_both_ends_of_the_window_into_the_past() {
    let (delay, reach) = (30_000, 30_000 + MINUTE_MS);
    let table = [(delay - 1, 0), (delay, 1), (delay + 1, 1), (reach - 1, 1), (reach, 0), (reach + 1, 0)];
    for (after, expected) in table {
        let mut key = Key::paying("windows: [1m], delay: 30s, features: [count]");
        key.fold(100_000, &[]);
        assert_eq!(key.pay(100_000 + after, &[])["count_1m"], expected.to_string(), "{after}");
    }
}

#[test]
fn of_two_payments_of_one_time_the_later_in_the_log_sees_the_earlier() {
    let mut key = Key::paying("windows: [1m], features: [count]");
    let counts = [5_000, 5_000, 4_999, 5_001].map(|at| key.pay(at, &[])["count_1m"].clone());
    assert_eq!(counts, ["1", "2", "1", "4"]);
}

#[test]
fn a_payment_that_is_left_out_counts_for_the_next() {
    let mut key = Key::paying("windows: [1m], include_current: false, features: [count, {sum: amount}]");
    let sums = [1, 2, 4].map(|minor| {
        let values = key.pay(minor, &[amount(minor)]);
        format!("{} of {}", values["amount_sum_1m"], values["count_1m"])
    });
    assert_eq!(sums, ["0 of 0", "1 of 1", "3 of 2"]);
}

#[test]
fn of_nothing_count_and_sum_are_zero_and_the_others_have_no_value() {
    let all = "windows: [1m], features: [count, {sum: amount}, {mean: amount}, {min: amount}, {max: amount}, \
               {distinct: ip}, time_since_last]";
    let names: Vec<String> = Key::paying(all).ask(0).into_keys().collect();
    assert_eq!(names, ["amount_sum_1m", "count_1m", "ip_distinct_1m"]);
    let mut key = Key::paying(all);
    key.fold(0, &[]);
    let values = key.ask(1);
    assert_eq!(values["count_1m"], "1");
    assert_eq!([&values["amount_sum_1m"], &values["ip_distinct_1m"]], ["0", "0"]);
    assert!(!values.contains_key("amount_mean_1m") && !values.contains_key("amount_max_1m"));
}

#[test]
fn an_event_without_the_field_does_not_count_for_that_field() {
    let mut key =
        Key::paying("windows: [1m], features: [count, {mean: amount}, {min: amount}, {max: amount}]");
    key.fold(1, &[amount(10)]);
    key.fold(2, &[]);
    let values = key.pay(3, &[amount(20)]);
    assert_eq!([&values["count_1m"], &values["amount_mean_1m"]], ["3", "15"]);
    assert_eq!([&values["amount_min_1m"], &values["amount_max_1m"]], ["10", "20"]);
}

#[test]
fn the_first_event_and_the_last_value_are_known_as_long_as_the_key_is() {
    let mut key = Key::paying("windows: [1m], features: [{last: amount}, time_since_first]");
    let mut asked = |at: i64, values: &[(FieldId, Value)]| {
        let values = key.pay(at, values);
        ["amount_last", "seconds_since_first"].map(|name| values.get(name).cloned())
    };
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(asked(10_000, &[amount(5)]), [None, None], "itself does not count");
    assert_eq!(asked(200_000, &[]), [some("5"), some("190")], "beyond every window");
    assert_eq!(asked(200_000, &[amount(7)]), [some("5"), some("190")], "the one before has no amount");
    assert_eq!(asked(200_000, &[amount(8)]), [some("7"), some("190")]);
    assert_eq!(asked(100_000, &[amount(9)]), [None, some("90")], "the last value is later");
    assert_eq!(asked(5_000, &[amount(3)]), [None, some("0")], "before the first");
    assert_eq!(asked(300_000, &[]), [some("8"), some("295")]);
}

#[test]
fn time_since_last_is_from_the_newest_event_before_and_never_negative() {
    let mut key = Key::paying("windows: [1m], features: [time_since_last]");
    assert!(key.pay(10_000, &[]).is_empty());
    let seconds = [11_500, 11_500, 9_000, 12_000].map(|at| key.pay(at, &[])["seconds_since_last"].clone());
    assert_eq!(seconds, ["1.5", "0", "0", "0.5"]);
    assert_eq!(key.state.newest(), Some(EventTime(12_000)));
}

#[test]
fn an_event_beyond_the_retention_counts_in_its_own_value_only() {
    let retention = MINUTE_MS + LATENESS_MS;
    for (age, kept) in [(retention - 1, true), (retention, false), (retention + 1, false)] {
        let mut key = Key::paying("windows: [1m], features: [count, {sum: amount}]");
        key.fold(500_000, &[]);
        let at = 500_000 - age;
        assert_eq!(key.pay(at, &[amount(7)])["amount_sum_1m"], "7", "{age}");
        let seen = if kept { "2" } else { "1" };
        assert_eq!(key.pay(at, &[amount(7)])["count_1m"], seen, "{age}");
    }
}

#[test]
fn an_event_leaves_the_ring_when_the_newest_is_the_retention_ahead() {
    let retention = MINUTE_MS + LATENESS_MS;
    for (ahead, left) in [(retention - 1, "1"), (retention, "0"), (retention + 1, "0")] {
        let mut key = Key::paying("windows: [1m], features: [count]");
        key.fold(1_000, &[]);
        key.fold(1_000 + ahead, &[]);
        assert_eq!(key.ask(1_000)["count_1m"], left, "{ahead}");
    }
}

#[test]
fn a_key_is_forgotten_when_the_watermark_is_the_retention_beyond_its_newest() {
    let mut key = Key::paying("windows: [1m], features: [count]");
    assert_eq!(key.state.forget_at(key.group()), EventTime(i64::MIN));
    key.fold(9_000, &[]);
    key.fold(8_000, &[]);
    assert_eq!(key.state.forget_at(key.group()), EventTime(9_000 + MINUTE_MS + LATENESS_MS));
}

#[test]
fn the_257th_event_turns_a_ring_into_buckets() {
    let mut key = Key::paying("windows: [1h], features: [count, {distinct: ip}]");
    for n in 1_u64..=257 {
        let values = key.pay(n.cast_signed(), &[(FieldId::Ip, Value::Hash(n))]);
        assert_eq!([&values["count_1h"], &values["ip_distinct_1h"]], [&n.to_string(), &n.to_string()]);
        assert_eq!(key.state.is_large(), n == 257, "{n}");
        assert_eq!(key.estimate("count_1h"), (n == 257).then_some("0.015625"), "{n}");
        assert_eq!(key.estimate("ip_distinct_1h"), None);
    }
}

#[test]
fn a_value_without_the_current_event_is_exact_for_one_event_longer() {
    let mut key = Key::paying("windows: [1h], include_current: false, features: [count]");
    for n in 1..=258 {
        assert_eq!(key.pay(n, &[])["count_1h"], (n - 1).to_string());
        assert_eq!(key.estimates.is_empty(), n <= 257, "{n}");
    }
}

#[test]
fn a_large_key_stays_large_and_an_event_beyond_its_retention_counts_in_its_own_value_only() {
    let mut key = Key::paying("windows: [1m], features: [count, {max: amount}, {distinct: ip}]");
    (0..300).for_each(|n| key.fold(n, &[]));
    key.fold(10_000_000, &[amount(1)]);
    assert!(key.state.is_large());
    for _ in 0..2 {
        let values = key.pay(5_000_000, &[amount(9), (FieldId::Ip, Value::Hash(3))]);
        // Its ip is in no sample, and counts all the same.
        let expected = [("amount_max_1m", "9"), ("count_1m", "1"), ("ip_distinct_1m", "1")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
    assert_eq!(key.ask(5_000_000)["count_1m"], "0");
}

#[test]
fn a_delayed_view_of_a_large_key_leaves_the_payment_out_also_within_its_bucket() {
    let mut key = Key::paying("windows: [64h], delay: 1m, features: [count]");
    (0..257).for_each(|_| key.fold(0, &[]));
    // Buckets of an hour: the payment a minute later is in the same one.
    assert_eq!(key.pay(MINUTE_MS, &[])["count_64h"], "257");
    assert_eq!(key.pay(MINUTE_MS, &[])["count_64h"], "258");
}

#[test]
fn a_value_of_clicks_covers_whole_buckets_at_both_ends() {
    // A window of 64 minutes has buckets of one. The click is the last moment of bucket 0.
    let window = 64 * MINUTE_MS;
    let table = [
        (-1, "0"),
        (0, "1"),
        (1, "1"),
        (window + MINUTE_MS - 1, "1"),
        (window + MINUTE_MS, "0"),
        (window + MINUTE_MS + 1, "0"),
    ];
    for (at, expected) in table {
        let mut key = Key::new("click", "windows: [64m], features: [count]");
        key.fold(MINUTE_MS - 1, &[]);
        assert_eq!(key.ask(at)["count_64m"], expected, "{at}");
        assert_eq!(key.estimate("count_64m"), Some("0.015625"));
    }
}

#[test]
fn a_bucket_is_dropped_when_it_ends_at_the_retention_or_before() {
    let retention = 64 * MINUTE_MS + LATENESS_MS;
    let table = [(MINUTE_MS - 1, "1"), (MINUTE_MS, "0"), (MINUTE_MS + 1, "0")];
    for (horizon, left) in table {
        let mut key = Key::new("click", "windows: [64m], features: [count]");
        key.fold(0, &[]);
        key.fold(retention + horizon, &[]);
        assert_eq!(key.ask(0)["count_64m"], left, "{horizon}");
    }
}

#[test]
fn a_click_beyond_the_retention_is_not_added_even_if_its_bucket_is_still_there() {
    let newest = 64 * MINUTE_MS + LATENESS_MS + 30_000;
    for (time, counted) in [(29_999, "0"), (30_000, "0"), (30_001, "1")] {
        let mut key = Key::new("click", "windows: [64m], features: [count]");
        key.fold(newest, &[]);
        key.fold(time, &[]);
        assert_eq!(key.ask(0)["count_64m"], counted, "{time}");
    }
}

/// The retention of the buckets of 64 minutes, a minute each, where no view of them has a delay.
const OF_64M_MS: i64 = 64 * MINUTE_MS + LATENESS_MS;

#[test]
fn a_bucket_is_dropped_when_it_ends_at_the_retention_of_its_own_window_or_before() {
    for (horizon, left) in [(MINUTE_MS - 1, "1"), (MINUTE_MS, "0"), (MINUTE_MS + 1, "0")] {
        let mut key = Key::new("click", "windows: [64m, 128m], features: [count]");
        key.fold(0, &[]);
        key.fold(OF_64M_MS + horizon, &[]);
        let values = key.ask(0);
        assert_eq!([&values["count_64m"], &values["count_128m"]], [left, "1"], "{horizon}");
    }
}

#[test]
fn a_click_goes_into_the_buckets_of_those_windows_that_still_want_it() {
    let newest = OF_64M_MS + 30_000;
    for (time, counted) in [(29_999, "0"), (30_000, "0"), (30_001, "1")] {
        let mut key = Key::new("click", "windows: [64m, 128m], features: [count]");
        key.fold(newest, &[]);
        key.fold(time, &[]);
        let values = key.ask(0);
        assert_eq!([&values["count_64m"], &values["count_128m"]], [counted, "1"], "{time}");
    }
}

#[test]
fn the_longest_delay_that_asks_a_window_in_buckets_keeps_its_series_longer_for_all_views() {
    // The hour and four minutes, spelled three ways; the delay of 128 m is none of its business.
    let views = [
        "windows: [64m], features: [count]",
        "windows: [3840s], delay: 2m, features: [count]",
        "windows: [3840000ms], delay: 1m, features: [count]",
        "windows: [128m], delay: 5m, features: [count]",
    ];
    let retention = OF_64M_MS + 2 * MINUTE_MS;
    for (behind, counted) in [(retention - 1, "1"), (retention, "0"), (retention + 1, "0")] {
        let mut key = Key::viewed("click", &views);
        let at = 1_000 * MINUTE_MS - behind;
        key.fold(1_000 * MINUTE_MS, &[]);
        key.fold(at, &[]);
        assert_eq!(key.ask(at)["count_64m"], counted, "{behind}");
        assert_eq!(key.ask(at + 2 * MINUTE_MS)["count_3840s"], counted, "{behind}");
        assert_eq!(key.ask(at + MINUTE_MS)["count_3840000ms"], counted, "{behind}");
        assert_eq!(key.ask(at + 5 * MINUTE_MS)["count_128m"], "1", "{behind}");
    }
}

#[test]
fn a_longer_window_of_distinct_values_only_keeps_no_buckets_longer() {
    let views = ["windows: [64m], features: [count]", "windows: [7d], features: [{distinct: page}]"];
    for (behind, counted) in [(OF_64M_MS - 1, "1"), (OF_64M_MS, "0"), (OF_64M_MS + 1, "0")] {
        let mut key = Key::viewed("click", &views);
        key.fold(1_000 * MINUTE_MS, &[]);
        key.fold(1_000 * MINUTE_MS - behind, &[page(1)]);
        let values = key.ask(1_000 * MINUTE_MS - behind);
        assert_eq!([&values["count_64m"], &values["page_distinct_7d"]], [counted, "1"], "{behind}");
    }
}

#[test]
fn the_events_of_a_ring_go_into_the_buckets_of_those_windows_that_still_want_them() {
    for (behind, counted) in [(OF_64M_MS - 1, "1"), (OF_64M_MS, "0"), (OF_64M_MS + 1, "0")] {
        let mut key = Key::paying("windows: [64m, 128m], features: [count]");
        let oldest = 1_000 * MINUTE_MS - behind;
        key.fold(oldest, &[]);
        (0..255).for_each(|_| key.fold(1_000 * MINUTE_MS, &[]));
        assert!(!key.state.is_large());
        assert_eq!(key.ask(oldest)["count_64m"], "1", "a ring keeps it for the retention of the group");
        key.fold(1_000 * MINUTE_MS, &[]);
        assert!(key.state.is_large());
        let values = key.ask(oldest);
        assert_eq!([&values["count_64m"], &values["count_128m"]], [counted, "1"], "{behind}");
    }
}

#[test]
fn a_payment_too_old_for_the_buckets_of_a_window_counts_in_its_own_value_over_it_only() {
    let views = [
        "windows: [64m, 128m], features: [count, {sum: amount}, {distinct: ip}]",
        "windows: [3840s], include_current: false, features: [count]",
    ];
    let own = [amount(7), (FieldId::Ip, Value::Hash(3))];
    for (behind, kept) in [(OF_64M_MS - 1, true), (OF_64M_MS, false), (OF_64M_MS + 1, false)] {
        let mut key = Key::viewed("payment_attempted", &views);
        (0..257).for_each(|_| key.fold(1_000 * MINUTE_MS, &[]));
        for n in 1..=3 {
            let values = key.pay(1_000 * MINUTE_MS - behind, &own);
            let short = if kept { [n, 7 * n, n - 1] } else { [1, 7, 0] };
            let names = ["count_64m", "amount_sum_64m", "count_3840s"];
            assert_eq!(names.map(|name| &values[name]), short.map(|value| value.to_string()).each_ref());
            assert_eq!(
                [&values["count_128m"], &values["amount_sum_128m"]],
                [n, 7 * n].map(|v| v.to_string()).each_ref()
            );
            assert_eq!([&values["ip_distinct_64m"], &values["ip_distinct_128m"]], ["1", "1"], "{behind}");
        }
    }
}

#[test]
fn a_payment_as_late_as_allowed_sees_its_whole_window_in_buckets_and_a_later_one_may_not() {
    // The first event is the oldest that the window of this payment covers, and the last of its bucket.
    let (first, at) = (MINUTE_MS - 1, 65 * MINUTE_MS - 2);
    for (ahead, seen) in [(LATENESS_MS - 1, "258"), (LATENESS_MS, "258"), (LATENESS_MS + 2, "257")] {
        let mut key = Key::paying("windows: [64m, 128m], features: [count]");
        key.fold(first, &[]);
        (0..256).for_each(|_| key.fold(at, &[]));
        key.fold(at + ahead, &[]);
        assert_eq!(key.pay(at, &[])["count_64m"], seen, "{ahead}");
    }
}

#[test]
fn the_1025th_distinct_value_makes_the_count_an_estimate() {
    let mut key = Key::new("click", "windows: [1h], features: [{distinct: page}]");
    for n in 1..=1025_u64 {
        key.fold(1, &[page(n)]);
        let error = (n == 1025).then_some("0.0375");
        let count = key.ask(1)["page_distinct_1h"].clone();
        // Of the hashes 1 to 1025, the even ones are kept at level 1, and each stands for two.
        assert_eq!(count, if n == 1025 { 1024 } else { n }.to_string());
        assert_eq!(key.estimate("page_distinct_1h"), error, "{n}");
    }
}

#[test]
fn a_distinct_count_of_a_large_key_leaves_out_what_was_seen_only_later() {
    let ip = |n| [(FieldId::Ip, Value::Hash(n))];
    let hour = 60 * MINUTE_MS;
    let mut key = Key::paying("windows: [1h, 12h], features: [{distinct: ip}]");
    (1..=257).for_each(|n| key.fold(20 * hour, &ip(n)));
    assert!(key.state.is_large());
    let both =
        |values: BTreeMap<String, String>| ["1h", "12h"].map(|w| values[&format!("ip_distinct_{w}")].clone());
    assert_eq!(both(key.pay(18 * hour, &ip(500))), ["1", "1"]);
    assert!(key.estimates.is_empty());
    // Ip 1 was seen at 16 and 20 o'clock: was it between 17 and 18? And it was after 6.
    assert_eq!(both(key.pay(16 * hour, &ip(1))), ["1", "1"]);
    assert!(key.estimates.is_empty());
    assert_eq!(both(key.pay(18 * hour, &ip(500))), ["2", "2"]);
    assert_eq!([key.estimate("ip_distinct_1h"), key.estimate("ip_distinct_12h")], [Some("0.5"), None]);
}

#[test]
fn results_answer_at_the_time_of_a_payment_they_have_not_reached() {
    let mut key = Key::new("payment_result", "windows: [1m], features: [count, time_since_last]");
    key.fold(2_000, &[amount(5)]);
    let table = [(1_999, "0", "0"), (2_000, "1", "0"), (2_500, "1", "0.5")];
    for (at, count, seconds) in table {
        let values = key.ask(at);
        assert_eq!([&values["count_1m"], &values["seconds_since_last"]], [count, seconds], "{at}");
    }
}
