//! The files that declare views and rules: read, checked and compiled, with every fault of both at once.
//!
//! Serde says what a file means and stops at the first wrong shape. Where it does, the file is walked again
//! key by key, for all faults; what could not be read has a stand-in there, so that the rest of the file can
//! be checked as well. Rules are checked beside faulty views too: against those views that could be read.

use super::reader::{Section, text_of};
use crate::event::EntityKind;
use crate::event::Source;
use crate::event::part::feature_id;
use crate::event::public::Action;
use crate::fault::Fault;
use crate::feature::{DerivedSpec, FeaturePlan, FeatureSpec, FeaturesSpec, ViewSpec};
use crate::fraud::model::{Model, ModelSpec};
use crate::fraud::{RuleSet, RuleSpec, RuleState, RulesSpec, Thresholds};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// The kinds of entity that events of a source can name, where not all (`Router`); a view of another sees nothing.
fn named_by(source: Source) -> Option<&'static [&'static str]> {
    match source {
        Source::PaymentAttempted | Source::PaymentResult | Source::Label => None,
        Source::Click => Some(&["visitor", "customer", "device", "ip"]),
        Source::OrderPlaced
        | Source::OrderPaid
        | Source::OrderShipped
        | Source::OrderCancelled
        | Source::OrderRefunded
        | Source::OrderReturned => Some(&["visitor", "customer", "card", "store"]),
        Source::PosTransaction => Some(&["customer", "card", "store", "terminal"]),
        Source::Login
        | Source::LoginFailed
        | Source::SignUp
        | Source::CredentialChanged
        | Source::AddressChanged => Some(&["visitor", "customer", "card", "device", "ip"]),
    }
}

const STATES: [(&str, RuleState); 4] = [
    ("draft", RuleState::Draft),
    ("shadow", RuleState::Shadow),
    ("live", RuleState::Live),
    ("retired", RuleState::Retired),
];

/// What an item of `features` must be.
const AGGREGATE: &str = "must be a feature such as `count` or `sum: amount`";

/// What became of the views.
pub(super) enum Views {
    /// The file is good.
    Whole(Box<FeaturePlan>, FeaturesSpec),
    /// It has faults; the features, by flat name and number, of those views that have none.
    Some(Vec<(String, u32)>),
}

/// Reads and compiles the views.
pub(super) fn views(text: &str, allowed_lateness: Duration, faults: &mut Vec<Fault>) -> Views {
    let mut found = Vec::new();
    let spec = read("features", text, walk_views, &mut found).unwrap_or_default();
    found.extend(blind_views(&spec));
    let compiled = FeaturePlan::compile(&spec, allowed_lateness);
    let views = match compiled {
        Ok(plan) if found.is_empty() => return Views::Whole(Box::new(plan), spec),
        Ok(plan) => Views::Some(plan.feature_names()),
        Err(meaning) => {
            add(meaning, &mut found);
            Views::Some(features_of_good_views(spec))
        }
    };
    faults.append(&mut found);
    views
}

/// Reads and compiles the rules.
pub(super) fn rules(text: &str, views: &Views, faults: &mut Vec<Fault>) -> Option<(RuleSet, RulesSpec)> {
    let mut found = Vec::new();
    let spec = read("rules", text, walk_rules, &mut found);
    let compiled = spec.as_ref().map(|spec| match views {
        Views::Whole(plan, _) => RuleSet::compile(spec, &plan.feature_names()),
        Views::Some(features) => RuleSet::compile_beside_faulty_views(spec, features),
    });
    let rules = match compiled? {
        Ok(rules) => Some(rules),
        Err(meaning) => {
            add(meaning, &mut found);
            None
        }
    };
    let is_good = found.is_empty();
    faults.append(&mut found);
    rules.zip(spec).filter(|_| is_good)
}

/// Reads and compiles the model.
pub(super) fn model(text: &str, views: &Views, faults: &mut Vec<Fault>) -> Option<Model> {
    let spec: ModelSpec = match serde_saphyr::from_str(text) {
        Ok(spec) => spec,
        Err(refusal) => {
            faults.push(Fault::new("model", refusal.to_string()));
            return None;
        }
    };
    // beside faulty views it cannot be told what it may read
    let Views::Whole(plan, _) = views else { return None };
    spec.compile(&plan.feature_names()).map_err(|mut found| faults.append(&mut found)).ok()
}

/// What `text` says; of a wrong shape, all faults and what `walk` makes of the rest. Nothing if it is no YAML.
fn read<T: DeserializeOwned>(
    name: &str,
    text: &str,
    walk: impl FnOnce(Section<'_>, &mut Vec<Fault>) -> T,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let refusal = match serde_saphyr::from_str(text) {
        Ok(spec) => return Some(spec),
        Err(refusal) => Fault::new(name, refusal.to_string()),
    };
    let value = serde_saphyr::from_str::<Value>(text).ok();
    let spec = value.map(|value| walk(Section::element(name.to_owned(), &value, faults), faults));
    if faults.is_empty() {
        faults.push(refusal);
    }
    spec
}

/// Adds what is wrong with the meaning of a file, but not where a stand-in was judged.
fn add(meaning: Vec<Fault>, faults: &mut Vec<Fault>) {
    let unread: Vec<String> = faults.iter().map(|fault| fault.path.clone()).collect();
    let is_within = |place: &str, path: &String| {
        place.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let is_read = |fault: &Fault| !unread.iter().any(|path| is_within(&fault.path, path));
    faults.extend(meaning.into_iter().filter(is_read));
}

/// Views that could never see an event.
fn blind_views(spec: &FeaturesSpec) -> Vec<Fault> {
    let blind = |(place, view): (usize, &ViewSpec)| {
        let named = Source::from_name(&view.source).and_then(named_by)?;
        let is_blind =
            EntityKind::from_name(&view.entity).is_some() && !named.contains(&view.entity.as_str());
        is_blind.then(|| {
            let (path, kinds) = (format!("features.views[{place}].source"), named.join(", "));
            let message = format!("a {} never names a {}: it may name {kinds}", view.source, view.entity);
            Fault::new(path, message)
        })
    };
    spec.views.iter().enumerate().filter_map(blind).collect()
}

/// The features of those views that have no fault, beside the good ones before them.
fn features_of_good_views(spec: FeaturesSpec) -> Vec<(String, u32)> {
    let mut good = FeaturesSpec::default();
    for view in spec.views {
        good.views.push(view);
        if good.resolve().is_err() {
            good.views.pop();
        }
    }
    let plan = FeaturePlan::compile(&good, Duration::ZERO);
    let mut names = plan.map(|plan| plan.feature_names()).unwrap_or_default();
    // whatever they are made of, rules may read them
    names.extend(spec.derived.iter().map(|made| (made.flat_name(), feature_id(&made.flat_name()))));
    names
}

fn walk_views(mut file: Section<'_>, faults: &mut Vec<Fault>) -> FeaturesSpec {
    file.require(&["views"], faults);
    let path = file.path("views");
    let views = file.list("views", faults).into_iter().flatten().enumerate();
    let views = views
        .map(|(place, view)| walk_view(Section::element(format!("{path}[{place}]"), view, faults), faults))
        .collect();
    let path = file.path("derived");
    let derived = file.list("derived", faults).into_iter().flatten().enumerate();
    let derived = derived
        .map(|(place, made)| walk_derived(Section::element(format!("{path}[{place}]"), made, faults), faults))
        .collect();
    file.finish(faults);
    FeaturesSpec { views, derived }
}

fn walk_derived(mut made: Section<'_>, faults: &mut Vec<Fault>) -> DerivedSpec {
    made.require(&["name"], faults);
    let mut names = |section: &mut Section<'_>, key| {
        let is_there = section.value(key).is_some();
        let names = section.each(key, "must be a text", text_of, &String::new(), faults);
        is_there.then_some(names)
    };
    let (ratio, difference) = (names(&mut made, "ratio"), names(&mut made, "difference"));
    let spec = DerivedSpec {
        name: made.text("name", "", faults),
        ratio,
        difference,
        log: made.value("log").is_some().then(|| made.text("log", "", faults)),
    };
    made.finish(faults);
    spec
}

fn walk_view(mut view: Section<'_>, faults: &mut Vec<Fault>) -> ViewSpec {
    view.require(&["name", "entity", "source"], faults);
    let spec = ViewSpec {
        name: view.text("name", "", faults),
        entity: view.text("entity", "", faults),
        source: view.text("source", "", faults),
        windows: view.each("windows", "must be a text", text_of, &String::new(), faults),
        delay: view.optional_text("delay", faults),
        filter: view.optional_text("where", faults),
        include_current: view.truth("include_current", true, faults),
        features: view.each("features", AGGREGATE, feature, &FeatureSpec::Plain(String::new()), faults),
    };
    view.finish(faults);
    spec
}

fn feature(value: &Value) -> Option<FeatureSpec> {
    let Value::Object(fields) = value else { return text_of(value).map(FeatureSpec::Plain) };
    let fields = fields.iter().map(|(aggregate, field)| Some((aggregate.clone(), text_of(field)?)));
    fields.collect::<Option<_>>().map(FeatureSpec::OfField)
}

fn walk_rules(mut file: Section<'_>, faults: &mut Vec<Fault>) -> RulesSpec {
    file.require(&["version", "thresholds", "rules"], faults);
    let version = file.count("version", 0, 0..=u32::MAX, faults);
    let thresholds = walk_thresholds(file.section("thresholds", faults), faults);
    let path = file.path("rules");
    let rules = file.list("rules", faults).into_iter().flatten().enumerate();
    let rules = rules
        .map(|(place, rule)| walk_rule(Section::element(format!("{path}[{place}]"), rule, faults), faults))
        .collect();
    file.finish(faults);
    RulesSpec { version, thresholds, rules }
}

/// The stand-ins keep the order that the other thresholds must have.
fn walk_thresholds(mut section: Section<'_>, faults: &mut Vec<Fault>) -> Thresholds {
    section.require(&["review", "step_up", "decline"], faults);
    let review = section.number("review", f64::MIN_POSITIVE, faults);
    let step_up = section.number("step_up", review, faults);
    let decline = section.number("decline", 1.0, faults);
    section.finish(faults);
    Thresholds { review, step_up, decline }
}

fn walk_rule(mut rule: Section<'_>, faults: &mut Vec<Fault>) -> RuleSpec {
    rule.require(&["id", "state", "when", "code", "weight"], faults);
    let spec = RuleSpec {
        id: rule.text("id", "", faults),
        state: rule.choice("state", RuleState::Draft, &STATES, faults),
        when: rule.text("when", "", faults),
        code: rule.text("code", "", faults),
        weight: rule.number("weight", 0.0, faults),
        action: rule.choice(
            "action",
            None,
            &Action::NAMES.map(|(name, action)| (name, Some(action))),
            faults,
        ),
    };
    rule.finish(faults);
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::accounts::Account;
    use crate::codec::clickstream::Click;
    use crate::codec::orders::Order;
    use crate::codec::pos::Transaction;
    use crate::config::resolve::{DEFAULT_FEATURES, DEFAULT_RULES};
    use crate::event::Body;
    use crate::ingest::pseudonym::{PseudonymKey, Pseudonyms};
    use crate::ingest::route::Router;
    use crate::time::EventTime;

    const GOOD_VIEW: &str =
        "{name: v, entity: card, source: payment_attempted, windows: [1h], features: [count]}";

    /// The faults of both files.
    fn faults(features: &str, rules_text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let views = views(features, Duration::ZERO, &mut faults);
        let rules = rules(rules_text, &views, &mut faults);
        let is_good = matches!(views, Views::Whole(..)) && rules.is_some();
        assert_eq!(is_good, faults.is_empty());
        faults.iter().map(Fault::to_string).collect()
    }

    fn of_rules(rules: &str) -> String {
        format!("version: 1\nthresholds: {{review: 0.1, step_up: 0.2, decline: 0.3}}\nrules: {rules}")
    }

    #[test]
    fn every_fault_of_the_shape_of_a_rule_is_reported_with_its_path_beside_those_of_its_meaning() {
        let rules = of_rules(
            "
  - {id: a, state: live, when: amount_minor > 1.0, code: A, weight: 0.5, wieght: 1}
  - {id: b, state: lve, when: amount > 1.0, code: B, weight: abc}
  - {id: c, state: live, code: [C], weight: 0.5, action: refuse}
  - {id: a, state: live, when: v__count_2h > 1.0, code: D, weight: 2}
  - what",
        );
        assert_eq!(
            faults(&format!("views: [{GOOD_VIEW}]"), &rules),
            [
                "rules.rules[0].wieght: is not a known key here; known are: id, state, when, code, weight, action",
                "rules.rules[1].state: must be one of draft, shadow, live, retired",
                "rules.rules[1].weight: must be a number",
                "rules.rules[2].when: is required",
                "rules.rules[2].code: must be a text",
                "rules.rules[2].action: must be one of approve, review, step_up, decline",
                "rules.rules[4]: must be a section of keys and values",
                "rules.rules[1].when: column 1: unknown name `amount`",
                "rules.rules[3].id: `a` is the id of rules[0] already",
                "rules.rules[3].weight: must be above 0 and below 1",
                "rules.rules[3].when: column 1: unknown name `v__count_2h`; nearest: `v__count_1h`",
            ]
        );
    }

    #[test]
    fn a_threshold_that_cannot_be_read_says_nothing_against_the_others() {
        for (thresholds, expected) in [
            ("{review: low, step_up: 0.2, decline: 0.3}", "rules.thresholds.review: must be a number"),
            ("{review: 0.1, decline: 0.3}", "rules.thresholds.step_up: is required"),
            ("{review: 0.1, step_up: 0.2, decline: []}", "rules.thresholds.decline: must be a number"),
            ("0.5", "rules.thresholds: must be a section of keys and values"),
        ] {
            let rules = format!("version: 1\nthresholds: {thresholds}\nrules: []");
            assert_eq!(faults("views: []", &rules), [expected]);
        }
        assert_eq!(faults("views: []", "version: 1\nrules: []"), ["rules.thresholds: is required"]);
    }

    #[test]
    fn every_fault_of_the_shape_of_a_view_is_reported_with_its_path_beside_those_of_its_meaning() {
        let features = format!(
            "views:
  - {GOOD_VIEW}
  - {{entity: card, source: payment_attempted, windows: 1h, features: [count], window: [1h]}}
  - {{name: w, entity: cards, source: payment_attempted, windows: [[1h], 1s], features: [[count], avg], include_current: si}}"
        );
        assert_eq!(
            faults(&features, &of_rules("[]")),
            [
                "features.views[1].name: is required",
                "features.views[1].windows: must be a list",
                "features.views[1].window: is not a known key here; known are: name, entity, source, windows, \
                 delay, where, include_current, features",
                "features.views[2].windows[0]: must be a text",
                "features.views[2].include_current: must be true or false",
                "features.views[2].features[0]: must be a feature such as `count` or `sum: amount`",
                "features.views[2].entity: unknown entity `cards`, known are visitor, customer, card, device, ip, \
                 store, terminal",
                "features.views[2].windows[1]: `1s` must be between 1m and 30d",
                "features.views[2].features[1]: unknown feature `avg`, known are count, sum, mean, stddev, ratio, min, max, \
                 distinct, top1 to top8, last, time_since_first, time_since_last",
            ]
        );
    }

    #[test]
    fn faulty_views_do_not_hide_the_faults_of_rules() {
        let rules = of_rules(
            "
  - {id: a, state: live, when: v__count_2h > 1.0, code: A, weight: 0.5}
  - {id: b, state: live, when: w__count_1h > 1.0 && amount > 1.0, code: B, weight: 2}",
        );
        let expected = |first: &[&str], of_v: bool| {
            let mut expected: Vec<String> = first.iter().map(|fault| (*fault).to_owned()).collect();
            if of_v {
                expected.push(
                    "rules.rules[0].when: column 1: unknown name `v__count_2h`; nearest: `v__count_1h`"
                        .into(),
                );
            }
            expected.push("rules.rules[1].weight: must be above 0 and below 1".into());
            expected.push("rules.rules[1].when: column 22: unknown name `amount`".into());
            expected
        };
        let w = "{name: w, entity: card, source: payment_attempted, windows: [1s], features: [count]}";
        let of_w = "features.views[1].windows[0]: `1s` must be between 1m and 30d";
        assert_eq!(faults(&format!("views: [{GOOD_VIEW}, {w}]"), &rules), expected(&[of_w], true));
        let found = faults("views: [", &rules);
        assert!(found[0].starts_with("features: "), "{}", found[0]);
        assert_eq!(found, expected(&[&found[0]], false), "nothing is said of views that nobody could read");
    }

    #[test]
    fn a_view_that_could_never_see_an_event_is_refused() {
        let view = |kind: &str| {
            format!("{{name: {kind}, entity: {kind}, source: click, windows: [1h], features: [count]}}")
        };
        let views: Vec<String> = EntityKind::viewed().map(|kind| view(kind.name())).collect();
        assert_eq!(
            faults(&format!("views: [{}]", views.join(", ")), &of_rules("[]")),
            [
                "features.views[2].source: a click never names a card: it may name visitor, customer, device, ip",
                "features.views[5].source: a click never names a store: it may name visitor, customer, device, ip",
                "features.views[6].source: a click never names a terminal: it may name visitor, customer, device, ip",
            ]
        );
    }

    /// Holds [`named_by`] and the router together: what may be named gets copies, and nobody else.
    #[test]
    fn the_kinds_that_events_of_a_source_name_are_those_that_get_copies_of_them() {
        for (source, event) in [
            (Source::Click, r#"{"event_name": "view_item", "visitor_id": "v", "#),
            (
                Source::OrderPlaced,
                r#"{"event_name": "order_placed", "order_id": "o", "currency": "EUR", "visitor_id": "v", "#,
            ),
            (
                Source::PosTransaction,
                r#"{"event_name": "pos_transaction", "workstation_id": "w", "sequence_number": 1, "business_day": "2026-01-05",
                    "currency": "EUR", "lines": [], "tenders": [{"kind": "card", "amount_minor": 1, "card_token": "t"}], "#,
            ),
            (Source::Login, r#"{"event_name": "login", "visitor_id": "v", "#),
        ] {
            let rest = r#""event_id": "e", "event_time_ms": 1, "customer_id": "c", "device_id": "d", "ip": "10.0.0.1",
                "card_token": "t", "store_id": "s", "terminal_id": "p"}"#;
            let mut kinds = kinds_with_copies(source, (event.to_owned() + rest).as_bytes());
            let mut named = named_by(source).expect("not all").to_vec();
            kinds.sort_unstable();
            named.sort_unstable();
            assert_eq!(kinds, named, "{}", source.name());
        }
    }

    /// The kinds that get a copy of an event, with a view on its source for every kind.
    fn kinds_with_copies(source: Source, event: &[u8]) -> Vec<&'static str> {
        let view = |kind: EntityKind| ViewSpec {
            name: kind.name().to_owned(),
            entity: kind.name().to_owned(),
            source: source.name().to_owned(),
            windows: vec!["1h".to_owned()],
            delay: None,
            filter: None,
            include_current: true,
            features: vec![FeatureSpec::Plain("count".to_owned())],
        };
        let spec = FeaturesSpec { views: EntityKind::viewed().map(view).collect(), derived: Vec::new() };
        let plan =
            FeaturePlan::compile(&spec, Duration::ZERO).expect("only the configuration knows of routes");
        let key = PseudonymKey { id: "k".to_owned(), since: EventTime(0), secret: [0; 32] };
        let pseudonyms = Pseudonyms::new(vec![key]);
        let router = Router { plan: &plan, pseudonyms: &pseudonyms };
        let mut kinds = Vec::new();
        // what links, and what goes on to whom it is linked, is for no view of the kind itself
        let is_for_views = |body: &Body<'_>| {
            !matches!(body, Body::Link(..) | Body::Visited(..) | Body::ForLinked(..) | Body::AtTill(_))
        };
        let each = |copy: &crate::event::Copy<'_>| {
            if is_for_views(&copy.body) {
                kinds.push(copy.kind.name());
            }
        };
        let (time, bytes_max) = (EventTime(1), 1 << 10);
        match source {
            Source::Click => router.click(&Click::decode(event, bytes_max).expect("good").0, time, each),
            Source::OrderPlaced => {
                let (order, _) = Order::decode(event, bytes_max).expect("good");
                router.order(&order.expect("known"), time, each);
            }
            Source::PosTransaction => {
                let (basket, _) = Transaction::decode(event, bytes_max).expect("good");
                router.basket(&basket.expect("known"), time, each);
            }
            _ => {
                let (account, _) = Account::decode(event, bytes_max).expect("good");
                router.account(&account.expect("known"), time, each);
            }
        }
        kinds
    }

    #[test]
    fn walking_a_good_file_finds_what_serde_reads_and_no_fault() {
        let mut found = Vec::new();
        let value: Value = serde_saphyr::from_str(DEFAULT_FEATURES).expect("YAML");
        let walked = walk_views(Section::element("features".to_owned(), &value, &mut found), &mut found);
        assert_eq!(serde_saphyr::from_str::<FeaturesSpec>(DEFAULT_FEATURES).expect("good"), walked);
        let value: Value = serde_saphyr::from_str(DEFAULT_RULES).expect("YAML");
        let walked = walk_rules(Section::element("rules".to_owned(), &value, &mut found), &mut found);
        assert_eq!(serde_saphyr::from_str::<RulesSpec>(DEFAULT_RULES).expect("good"), walked);
        assert_eq!(found, []);
    }

    #[test]
    fn a_value_made_of_several_has_each_fault_once_whatever_its_shape() {
        let text = "views: []
derived:
  - {name: a, ratio: v__x}
  - {name: b, ratio: [[1], w]}
  - {name: c, log: [x]}
  - {name: d, log: w, weight: 3}
";
        let mut faults = Vec::new();
        let views = views(text, Duration::ZERO, &mut faults);
        let found: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let unknown = "is no feature, no value made before this one, and not amount_minor";
        let mut expected = vec![
            "features.derived[0].ratio: must be a list".to_owned(),
            "features.derived[1].ratio[0]: must be a text".to_owned(),
            "features.derived[2].log: must be a text".to_owned(),
            "features.derived[3].weight: is not a known key here; known are: name, ratio, difference, log"
                .to_owned(),
            format!("features.derived[1].ratio[1]: `w` {unknown}"),
            format!("features.derived[3].log: `w` {unknown}"),
        ];
        expected.sort_unstable();
        let mut sorted = found.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{found:?}");
        let Views::Some(names) = views else { panic!("it has faults") };
        assert!(names.iter().any(|(name, _)| name == "derived__a"), "rules may read it: {names:?}");
    }
}
