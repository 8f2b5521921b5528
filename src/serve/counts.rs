//! Counts and times of requests, for `/metrics`. Labels hold routes, never ids.

use crate::telemetry::metrics::text_of;
use crate::time::{EventTime, ProcessingTime};
use prometheus::{CounterVec, Histogram, HistogramOpts, HistogramVec, Opts, Registry};
use std::time::Duration;

/// What is counted of requests.
#[derive(Debug)]
pub(super) struct Counts {
    registry: Registry,
    requests: CounterVec,
    seconds: HistogramVec,
    scores: CounterVec,
}

impl Counts {
    /// Beside what is counted of scores.
    pub(super) fn new(scored: &ScoreTimes) -> Counts {
        let declared = "a metric is declared with valid names";
        let requests = CounterVec::new(
            Opts::new("tillstream_http_requests_total", "Requests to the API, by route and status."),
            &["route", "status"],
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "tillstream_http_request_duration_seconds",
                "Time to answer a request, by route.",
            )
            .buckets(vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]),
            &["route"],
        );
        let scores = CounterVec::new(
            Opts::new(
                "tillstream_score_answers_total",
                "Answers to payments that were sent to be scored: score, repeated (it was known), fallback, none, conflict (another payment has the id).",
            ),
            &["answer"],
        );
        let (requests, seconds, scores) =
            (requests.expect(declared), seconds.expect(declared), scores.expect(declared));
        let registry = Registry::new();
        registry.register(Box::new(requests.clone())).expect(declared);
        registry.register(Box::new(seconds.clone())).expect(declared);
        registry.register(Box::new(scores.clone())).expect(declared);
        registry.register(Box::new(scored.seconds.clone())).expect(declared);
        Counts { registry, requests, seconds, scores }
    }

    pub(super) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
        self.seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    pub(super) fn scored(&self, answer: &str) {
        self.scores.with_label_values(&[answer]).inc();
    }

    /// In Prometheus' text format.
    pub(super) fn exposition(&self) -> String {
        text_of(&self.registry)
    }
}

/// From the times of payments to when their scores were published.
#[derive(Debug)]
pub(super) struct ScoreTimes {
    seconds: Histogram,
    since: ProcessingTime,
}

impl ScoreTimes {
    /// Of scores that are published from now on: those before are history, which each start reads again.
    pub(super) fn since(now: ProcessingTime) -> ScoreTimes {
        let options = HistogramOpts::new(
            "tillstream_event_to_score_seconds",
            "Time from a payment, by the clock of the shop, to the publication of its score; of scores since this instance started.",
        );
        let bounds =
            [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0];
        let seconds = Histogram::with_opts(options.buckets(bounds.to_vec()));
        ScoreTimes { seconds: seconds.expect("a metric is declared with valid names"), since: now }
    }

    /// A score was published of a payment of that time.
    pub(super) fn took(&self, published: Option<ProcessingTime>, event: EventTime) {
        if let Some(published) = published.filter(|published| *published >= self.since) {
            self.seconds.observe(published.since(ProcessingTime(event.0)).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_counts_by_how_long_it_took_unless_it_is_of_before_the_start() {
        let started = ProcessingTime(1_000_000);
        let times = ScoreTimes::since(started);
        times.took(Some(ProcessingTime(999_999)), EventTime(0));
        times.took(None, EventTime(0));
        assert_eq!(times.seconds.get_sample_count(), 0);
        times.took(Some(started), EventTime(998_500));
        // the shop's clock is ahead
        times.took(Some(started), EventTime(1_000_500));
        assert_eq!(times.seconds.get_sample_count(), 2);
        assert!((times.seconds.get_sample_sum() - 1.5).abs() < 1e-9);
    }
}
