//! Counts and times of requests, for `/metrics`. Labels hold routes, never ids.

use crate::telemetry::metrics::text_of;
use prometheus::{CounterVec, HistogramOpts, HistogramVec, Opts, Registry};
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
    pub(super) fn new() -> Counts {
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
