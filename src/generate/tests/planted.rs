//! The truth and the stream say the same about planted patterns.

use super::*;
use crate::time::EventTime;

/// The texts of a field, in the order of the stream.
fn texts<'a>(values: &'a [Value], field: &str) -> Vec<&'a str> {
    values.iter().map(|value| value[field].as_str().unwrap()).collect()
}

/// The event times of the first and the last of `values`, which came in order.
fn span(values: &[Value]) -> (EventTime, EventTime) {
    let times: Vec<EventTime> = values.iter().filter_map(event_time).map(EventTime).collect();
    assert!(times.is_sorted());
    (times[0], times[times.len() - 1])
}

#[test]
fn a_planted_card_tester_is_in_the_stream_as_the_truth_says() {
    let mut testers = 0;
    for truth in &STREAM.truth {
        let Truth::CardTesting {
            start_ms,
            end_ms,
            visitor_id,
            device_id,
            ip,
            cards,
            payment_ids,
            records,
            ..
        } = truth
        else {
            continue;
        };
        testers += 1;
        let seen = STREAM.about(device_id);
        assert_eq!((seen.len() as u64, span(&seen)), (*records, (*start_ms, *end_ms)));
        assert_eq!((&seen, &seen), (&STREAM.about(ip), &STREAM.about(visitor_id)));
        let (attempts, results): (Vec<Value>, Vec<Value>) =
            seen.into_iter().partition(|value| value["event_name"] == "payment_attempted");
        assert_eq!(texts(&attempts, "card_token"), *cards);
        assert_eq!(texts(&attempts, "payment_id"), *payment_ids);
        assert_eq!(texts(&results, "payment_id"), *payment_ids);
        assert_eq!(cards.iter().collect::<BTreeSet<_>>().len(), cards.len());
        assert!((15..=60).contains(&cards.len()));
        assert!((4 * 60_000..=11 * 60_000).contains(&end_ms.since(*start_ms)));
        for attempt in &attempts {
            assert!((50..=300).contains(&attempt["amount_minor"].as_i64().unwrap()));
        }
        let declined = texts(&results, "status").iter().filter(|status| **status == "declined").count();
        assert!(declined * 2 > results.len(), "{declined} of {}", results.len());
    }
    assert_eq!(testers, 4);
}

#[test]
fn a_planted_bot_walks_through_the_catalogue_as_the_truth_says() {
    let mut bots = 0;
    for truth in &STREAM.truth {
        let Truth::Bot { start_ms, end_ms, visitor_id, device_id, ip, records, .. } = truth else {
            continue;
        };
        bots += 1;
        let clicks = STREAM.about(visitor_id);
        assert_eq!((clicks.len() as u64, span(&clicks)), (*records, (*start_ms, *end_ms)));
        assert_eq!((&clicks, &clicks), (&STREAM.about(ip), &STREAM.about(device_id)));
        assert!((120_000..360_000).contains(&end_ms.since(*start_ms)));
        let times: Vec<i64> = clicks.iter().filter_map(event_time).collect();
        assert!(times.windows(2).all(|pair| (300..900).contains(&(pair[1] - pair[0]))));
        let items: Vec<u64> = clicks
            .iter()
            .map(|click| click["items"][0]["item_id"].as_str().unwrap())
            .map(|id| id.trim_start_matches("sku-").parse().unwrap())
            .collect();
        assert!(items.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 5_000));
    }
    assert_eq!(bots, 4);
}

#[test]
fn planted_records_are_counted() {
    let (mut card_testing, mut bot) = (0, 0);
    for truth in &STREAM.truth {
        match truth {
            Truth::CardTesting { records, .. } => card_testing += records,
            Truth::Bot { records, .. } => bot += records,
            Truth::Accounting(accounting) => assert_eq!(*accounting, STREAM.accounting),
            other => panic!("nobody planted {other:?}"),
        }
    }
    assert_eq!((card_testing, bot), (STREAM.accounting.card_testing, STREAM.accounting.bot));
}

#[test]
fn short_and_dense_streams_hold_their_patterns_whole() {
    for (seed, events, events_per_second) in
        [(1, 10_000, 50.0), (2, 10_000, 5.0), (3, 24_999, 50.0), (4, 100_000, 2_000.0), (5, 10_000, 1.0)]
    {
        let settings = GenerateSettings { events_per_second, ..settings(seed, events) };
        let patterns = settings.patterns();
        let stream = Stream::of(settings);
        assert_eq!(stream.truth.len() as u64, 1 + 2 * patterns, "seed {seed}");
        for truth in stream.truth {
            match truth {
                Truth::CardTesting { payment_ids, .. } => {
                    assert!(payment_ids.len() >= 15, "seed {seed}")
                }
                Truth::Bot { records, .. } => assert!(records >= 15, "seed {seed}"),
                _ => {}
            }
        }
    }
}

#[test]
fn where_the_stream_ends_the_truth_ends() {
    let settings = settings(1, 100_000);
    let mut generator = Generator::new(settings);
    while generator.truth().len() == 1 {
        assert!(generator.next().is_some());
    }
    let (Truth::CardTesting { records, .. } | Truth::Bot { records, .. }) = &generator.truth()[1] else {
        panic!("only the first truth is the accounting");
    };
    assert_eq!(*records, 1, "a pattern enters with its first record");
}
