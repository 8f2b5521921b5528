//! The default rules (src/config/defaults/rules.yaml), written out by hand, and others of the same ids.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The version of the rules.
pub const VERSION: u32 = 3;
/// What the score must reach for each decision, mildest first.
pub const THRESHOLDS: [(&str, f64); 3] = [("review", 0.4), ("step_up", 0.6), ("decline", 0.85)];

/// A rule.
#[derive(Debug)]
pub struct Rule {
    pub id: &'static str,
    /// Else it is in shadow.
    pub live: bool,
    pub code: &'static str,
    pub weight: f64,
    pub action: Option<&'static str>,
    /// Everything that `when` reads.
    pub reads: &'static [&'static str],
    /// Whether it fires on what it reads; all of it is there.
    pub when: fn(&Inputs<'_>) -> bool,
}

/// Rules in force: those of [`RULES`] with their own version, thresholds, weights and states.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    pub version: u64,
    pub thresholds: Vec<(&'static str, f64)>,
    /// Weight of each rule that is evaluated, and whether it is live.
    pub rules: BTreeMap<&'static str, (f64, bool)>,
}

impl Default for InForce {
    fn default() -> InForce {
        let rules = RULES.iter().map(|rule| (rule.id, (rule.weight, rule.live)));
        InForce { version: VERSION.into(), thresholds: THRESHOLDS.to_vec(), rules: rules.collect() }
    }
}

impl InForce {
    /// What a file says of the rules that are known here. The conditions are those of [`RULES`].
    ///
    /// # Panics
    ///
    /// If it is no file of such rules.
    #[must_use]
    pub fn of(text: &str) -> InForce {
        let file: Value = serde_saphyr::from_str(text).expect("YAML");
        let of_rule = |rule: &'static Rule| {
            let rules = file["rules"].as_array().expect("rules");
            let declared = rules.iter().find(|declared| declared["id"] == rule.id)?;
            let is_live = match declared["state"].as_str()? {
                "live" => true,
                "shadow" => false,
                _ => return None,
            };
            Some((rule.id, (declared["weight"].as_f64()?, is_live)))
        };
        let threshold = |name: &'static str| (name, file["thresholds"][name].as_f64().expect("a number"));
        InForce {
            version: file["version"].as_u64().expect("a version"),
            thresholds: THRESHOLDS.iter().map(|(name, _)| threshold(name)).collect(),
            rules: RULES.iter().filter_map(of_rule).collect(),
        }
    }
}

/// The values that a rule reads.
#[derive(Debug)]
pub struct Inputs<'a>(pub &'a Map<String, Value>);

impl Inputs<'_> {
    fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().expect("a number")
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().expect("a text")
    }
}

/// The rules that tillstream comes with, in the order of the file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "card_testing_by_device",
        live: true,
        code: "CARD_TESTING",
        weight: 0.9,
        action: Some("decline"),
        reads: &["device_velocity__card_distinct_10m", "device_velocity__amount_mean_10m"],
        when: |at| {
            at.number("device_velocity__card_distinct_10m") >= 5.0
                && at.number("device_velocity__amount_mean_10m") < 1000.0
        },
    },
    Rule {
        id: "card_testing_by_ip",
        live: true,
        code: "CARD_TESTING",
        weight: 0.7,
        action: None,
        reads: &["ip_velocity__card_distinct_10m", "ip_velocity__amount_mean_10m"],
        when: |at| {
            at.number("ip_velocity__card_distinct_10m") >= 8.0
                && at.number("ip_velocity__amount_mean_10m") < 1000.0
        },
    },
    Rule {
        id: "many_cards_of_one_customer",
        live: true,
        code: "MANY_CARDS",
        weight: 0.5,
        action: None,
        reads: &["customer_velocity__card_distinct_24h"],
        when: |at| at.number("customer_velocity__card_distinct_24h") >= 4.0,
    },
    Rule {
        id: "card_on_many_devices",
        live: true,
        code: "MANY_DEVICES",
        weight: 0.5,
        action: None,
        reads: &["card_velocity__device_distinct_24h"],
        when: |at| at.number("card_velocity__device_distinct_24h") >= 4.0,
    },
    Rule {
        id: "card_was_used_by_a_fraudster",
        live: true,
        code: "KNOWN_FRAUD",
        weight: 0.8,
        action: None,
        reads: &["card_labels__fraud_sum_30d"],
        when: |at| at.number("card_labels__fraud_sum_30d") >= 1.0,
    },
    Rule {
        id: "burst_on_card",
        live: true,
        code: "BURST",
        weight: 0.45,
        action: None,
        reads: &["card_velocity__count_10m"],
        when: |at| at.number("card_velocity__count_10m") >= 5.0,
    },
    Rule {
        id: "unusual_amount",
        live: true,
        code: "UNUSUAL_AMOUNT",
        weight: 0.4,
        action: None,
        reads: &["card_velocity__count_7d", "derived__amount_to_card_mean", "amount_minor"],
        when: |at| {
            at.number("card_velocity__count_7d") >= 5.0
                && at.number("derived__amount_to_card_mean") > 10.0
                && at.number("amount_minor") > 20000.0
        },
    },
    Rule {
        id: "fraud_at_terminal",
        live: true,
        code: "FRAUD_AT_TERMINAL",
        weight: 0.5,
        action: None,
        reads: &["terminal_labels__fraud_mean_7d", "terminal_labels__count_7d"],
        when: |at| {
            let frauds = at.number("terminal_labels__fraud_mean_7d");
            frauds >= 0.1 && frauds * at.number("terminal_labels__count_7d") >= 7.5
        },
    },
    Rule {
        id: "countries_differ",
        live: false,
        code: "COUNTRIES_DIFFER",
        weight: 0.3,
        action: None,
        reads: &["card_country", "ip_country", "amount_minor"],
        when: |at| at.text("card_country") != at.text("ip_country") && at.number("amount_minor") > 10000.0,
    },
    Rule {
        id: "no_clicks_before",
        live: false,
        code: "NO_CLICKS",
        weight: 0.2,
        action: None,
        reads: &["visitor_clicks__count_1h", "amount_minor"],
        when: |at| at.number("visitor_clicks__count_1h") < 2.0 && at.number("amount_minor") > 5000.0,
    },
    Rule {
        id: "account_taken_over",
        live: false,
        code: "ACCOUNT_TAKEOVER",
        weight: 0.6,
        action: None,
        reads: &[
            "customer_logins__count_24h",
            "customer_credentials__count_24h",
            "customer_addresses__count_24h",
        ],
        when: |at| {
            let changes =
                at.number("customer_credentials__count_24h") + at.number("customer_addresses__count_24h");
            at.number("customer_logins__count_24h") >= 3.0 && changes >= 1.0
        },
    },
    Rule {
        id: "credential_stuffing_by_ip",
        live: false,
        code: "CREDENTIAL_STUFFING",
        weight: 0.4,
        action: None,
        reads: &["ip_logins__customer_distinct_1h"],
        when: |at| at.number("ip_logins__customer_distinct_1h") >= 5.0,
    },
];
