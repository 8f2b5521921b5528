//! From `features.yaml` to its views: every fault at once, each with its place.
//!
//! What a text means by itself is in `parse`; here stands where it is, and what must hold between
//! texts: no duplicates, no two features with one number.

use super::derived::{AMOUNT, DERIVED, Derived};
use super::filter::{self, FILTERS_MAX};
use super::parse;
use super::spec::{DerivedSpec, FeatureSpec, FeaturesSpec, ViewSpec};
use super::view::{Aggregate, View, Window};
use crate::event::part::feature_id;
use crate::event::{EntityKind, Source};
use crate::fault::Fault;
use std::collections::{BTreeMap, BTreeSet};

impl FeaturesSpec {
    /// The views that the file means, in its order.
    ///
    /// # Errors
    ///
    /// Every fault of the file, in the order of its views; a fault between two places stands at the
    /// later one. Whether two features have one number is looked at for views without other faults.
    pub fn resolve(&self) -> Result<Vec<View>, Vec<Fault>> {
        Ok(self.resolve_all()?.0)
    }

    /// As [`FeaturesSpec::resolve`], with the values made of several.
    pub(super) fn resolve_all(&self) -> Result<(Vec<View>, Vec<Derived>), Vec<Fault>> {
        let mut checker = Checker::default();
        let resolve = |(index, view)| checker.view(index, view);
        let views: Vec<View> = self.views.iter().enumerate().filter_map(resolve).collect();
        // what they may read is known only where every view is
        let are_known = checker.faults.is_empty();
        let mut derived = Vec::new();
        for (index, spec) in self.derived.iter().enumerate() {
            derived.extend(checker.derived(index, spec, are_known));
        }
        if checker.faults.is_empty() { Ok((views, derived)) } else { Err(checker.faults) }
    }
}

/// What has been found so far.
#[derive(Default)]
struct Checker {
    faults: Vec<Fault>,
    view_names: BTreeSet<String>,
    filters: BTreeMap<(EntityKind, Source), BTreeSet<String>>,
    /// The flat name behind each number, of features and of values made of several.
    flat_names: BTreeMap<u32, String>,
}

impl Checker {
    fn fault(&mut self, path: &str, message: String) {
        self.faults.push(Fault::new(path, message));
    }

    /// What was understood, or nothing and a fault.
    fn noted<T>(&mut self, path: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|message| self.fault(path, message)).ok()
    }

    /// The view, if nothing that it is made of is at fault.
    fn view(&mut self, index: usize, spec: &ViewSpec) -> Option<View> {
        let faults_before = self.faults.len();
        let path = format!("features.views[{index}]");
        let name = self.name(&format!("{path}.name"), &spec.name);
        let entity = self.noted(&format!("{path}.entity"), parse::entity(&spec.entity));
        let source = self.noted(&format!("{path}.source"), parse::source(&spec.source));
        let windows = self.windows(&format!("{path}.windows"), &spec.windows);
        let delay = self.noted(&format!("{path}.delay"), parse::delay(spec.delay.as_deref()));
        let aggregates = self.aggregates(&format!("{path}.features"), &spec.features, source);
        if let (Some(filter), Some(source)) = (&spec.filter, source) {
            for fault in filter::faults(filter, source) {
                self.fault(&format!("{path}.where"), fault);
            }
        }
        if delay.is_none_or(|delay| !delay.is_zero()) {
            self.undelayable(&format!("{path}.features"), &aggregates);
        }
        if self.faults.len() > faults_before {
            return None;
        }
        let aggregates = aggregates.into_iter().flatten().collect();
        let (entity, source, delay) = (entity?, source?, delay?);
        let include_current = spec.include_current;
        let filter = spec.filter.clone();
        let view = View { name: name?, entity, source, windows, filter, delay, include_current, aggregates };
        self.room_for_filter(&format!("{path}.where"), &view);
        self.feature_numbers(&format!("{path}.features"), &view);
        Some(view)
    }

    /// Each filter of the views of one kind on one source is a bit of a number.
    fn room_for_filter(&mut self, path: &str, view: &View) {
        let Some(filter) = &view.filter else { return };
        let filters = self.filters.entry((view.entity, view.source)).or_default();
        filters.insert(filter.clone());
        if filters.len() > FILTERS_MAX {
            let message = format!(
                "is one filter too many for views of this entity on this source: {FILTERS_MAX} are possible"
            );
            self.fault(path, message);
        }
    }

    /// The value made of others, if there is nothing wrong with it. `are_known`: whether every view could be read, so that
    /// a name which nothing has is a fault.
    fn derived(&mut self, index: usize, spec: &DerivedSpec, are_known: bool) -> Option<Derived> {
        let faults_before = self.faults.len();
        let path = format!("features.derived[{index}]");
        let formula = spec.formula().map_err(|(key, message)| {
            let path = if key.is_empty() { path.clone() } else { format!("{path}.{key}") };
            self.fault(&path, message);
        });
        if let Ok((key, formula)) = formula {
            self.operands(&format!("{path}.{key}"), &formula.names(), are_known);
        }
        let name = spec.flat_name();
        if self.noted(&format!("{path}.name"), parse::view_name(&spec.name)).is_some()
            && let Some(earlier) = self.flat_names.insert(feature_id(&name), name.clone())
        {
            let message = if earlier == name {
                format!("another value is named `{}`", spec.name)
            } else {
                format!("`{name}` has the number of `{earlier}`")
            };
            self.fault(&format!("{path}.name"), message);
        }
        let (_, formula) = formula.ok()?;
        (self.faults.len() == faults_before).then(|| Derived::new(name, formula))
    }

    /// What a value is made of: the payment's amount, features, and values before it.
    fn operands(&mut self, path: &str, names: &[&str], are_known: bool) {
        for (place, name) in names.iter().enumerate() {
            let is_known = *name == AMOUNT
                || self.flat_names.values().any(|known| known == name)
                || (!are_known && name.contains("__"));
            if !is_known {
                let at = if names.len() == 1 { String::new() } else { format!("[{place}]") };
                let what = "is no feature, no value made before this one, and not";
                self.fault(&format!("{path}{at}"), format!("`{name}` {what} {AMOUNT}"));
            }
        }
    }

    fn name(&mut self, path: &str, name: &str) -> Option<String> {
        let name = self.noted(path, parse::view_name(name))?;
        if name == DERIVED {
            self.fault(path, format!("`{DERIVED}` is what values made of several are named by"));
        }
        if !self.view_names.insert(name.clone()) {
            self.fault(path, format!("another view is named `{name}`"));
        }
        Some(name)
    }

    /// The windows that could be understood.
    fn windows(&mut self, path: &str, texts: &[String]) -> Vec<Window> {
        if texts.is_empty() {
            self.fault(path, "must name at least one window".to_owned());
        }
        let mut windows: Vec<Window> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(window) = self.noted(&path, parse::window(text)) else {
                continue;
            };
            if let Some(same) = windows.iter().find(|earlier| earlier.length == window.length) {
                self.fault(&path, format!("`{text}` is the same window as `{}`", same.spelled));
            }
            windows.push(window);
        }
        windows
    }

    /// The aggregates, with a gap for each that could not be understood.
    fn aggregates(
        &mut self,
        path: &str,
        specs: &[FeatureSpec],
        source: Option<Source>,
    ) -> Vec<Option<Aggregate>> {
        if specs.is_empty() {
            self.fault(path, "must name at least one feature".to_owned());
        }
        let mut aggregates = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let aggregate = self.noted(&path, parse::aggregate(spec, source));
            if aggregate.is_some() && aggregates.contains(&aggregate) {
                self.fault(&path, "the view has this feature already".to_owned());
            }
            aggregates.push(aggregate);
        }
        aggregates
    }

    /// What a view with a delay must not have. (A delay that cannot be read is some delay, so that
    /// it does not hide these faults.)
    fn undelayable(&mut self, path: &str, aggregates: &[Option<Aggregate>]) {
        for (index, aggregate) in aggregates.iter().enumerate() {
            let name = match aggregate {
                Some(Aggregate::Distinct(_)) => "distinct",
                Some(Aggregate::Last(_)) => "last",
                Some(Aggregate::TimeSinceFirst) => "time_since_first",
                Some(Aggregate::TimeSinceLast) => "time_since_last",
                _ => continue,
            };
            self.fault(&format!("{path}[{index}]"), format!("`{name}` does not go with a delay"));
        }
    }

    /// Two names with one number could not be told apart in the decision log.
    fn feature_numbers(&mut self, path: &str, view: &View) {
        for (index, aggregate) in view.aggregates.iter().enumerate() {
            for feature in view.features_of(*aggregate) {
                let name = feature.name.clone();
                if let Some(earlier) = self.flat_names.insert(feature.id, feature.name) {
                    let message = format!("`{name}` has the number of `{earlier}`; rename the view");
                    self.fault(&format!("{path}[{index}]"), message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let spec: FeaturesSpec = serde_saphyr::from_str(text).unwrap();
        let faults = spec.resolve().expect_err("the file has faults");
        faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let found = faults(
            "views:
  - {name: velocity, entity: card, source: click, windows: [10m, 10s, 600s], features: [count]}
  - name: velocity
    entity: cards
    source: payments
    windows: []
    delay: soon
    features: [count, {sum: device}, count, {distinct: ip}, avg]
  - {name: B, entity: card, source: click, windows: [1h, 1 h], delay: 1h, features: [{sum: amount}, time_since_last]}
  - {name: empty, entity: ip, source: click}
",
        );
        let expected = [
            "features.views[0].windows[1]: `10s` must be between 1m and 30d",
            "features.views[0].windows[2]: `600s` is the same window as `10m`",
            "features.views[1].name: another view is named `velocity`",
            "features.views[1].entity: unknown entity `cards`, known are \
             visitor, customer, card, device, ip, store, terminal",
            "features.views[1].source: unknown source `payments`, known are payment_attempted, payment_result, click, \
             label, order_placed, order_paid, order_shipped, order_cancelled, order_refunded, order_returned, \
             pos_transaction, login, login_failed, sign_up, credential_changed, address_changed",
            "features.views[1].windows: must name at least one window",
            "features.views[1].delay: `soon` is not a duration: expected number at 0",
            "features.views[1].features[1]: `device` is a text, `sum` wants a number",
            "features.views[1].features[2]: the view has this feature already",
            "features.views[1].features[4]: unknown feature `avg`, known are \
             count, sum, mean, stddev, ratio, min, max, distinct, top1 to top8, last, time_since_first, time_since_last",
            "features.views[1].features[3]: `distinct` does not go with a delay",
            "features.views[2].name: `B` must be small letters, digits and single underscores, \
             a letter first",
            "features.views[2].windows[1]: `1 h` must be small letters and digits, such as 90m",
            "features.views[2].features[0]: events of `click` have no `amount`",
            "features.views[2].features[1]: `time_since_last` does not go with a delay",
            "features.views[3].windows: must name at least one window",
            "features.views[3].features: must name at least one feature",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_fault_of_a_value_made_of_several_is_reported_with_its_place() {
        let view = "{name: v, entity: card, source: payment_attempted, windows: [1h], features: [count]}";
        let found = faults(&format!(
            "views: [{view}]
derived:
  - {{name: a, ratio: [amount_minor, v__count_1h]}}
  - {{name: a, log: v__count_1h}}
  - {{name: B, log: v__count_1h}}
  - {{name: c}}
  - {{name: d, ratio: [v__count_1h], log: v__count_1h}}
  - {{name: e, difference: [v__count_1h]}}
  - {{name: f, log: derived__g}}
  - {{name: g, difference: [derived__e, amount_minor]}}
  - {{name: H, ratio: [w__x, amount]}}
"
        ));
        let unknown = "is no feature, no value made before this one, and not amount_minor";
        let two = "must be two names, such as [amount_minor, card_velocity__amount_mean_7d]";
        let expected = [
            "features.derived[1].name: another value is named `a`".to_owned(),
            "features.derived[2].name: `B` must be small letters, digits and single underscores, a letter first".to_owned(),
            "features.derived[3]: must be one of ratio, difference and log".to_owned(),
            "features.derived[4]: must be one of ratio, difference and log".to_owned(),
            format!("features.derived[5].difference: {two}"),
            format!("features.derived[6].log: `derived__g` {unknown}"),
            format!("features.derived[8].ratio[0]: `w__x` {unknown}"),
            format!("features.derived[8].ratio[1]: `amount` {unknown}"),
            "features.derived[8].name: `H` must be small letters, digits and single underscores, a letter first".to_owned(),
        ];
        assert_eq!(found, expected);
        let beside = faults(&format!(
            "views: [{}]
derived: [{{name: a, log: w__x}}, {{name: b, ratio: [w]}}]",
            view.replace("card", "cards")
        ));
        assert_eq!(beside.len(), 2, "what a view that cannot be read may have is not judged: {beside:?}");
        assert_eq!(beside[1], format!("features.derived[1].ratio: {two}"));
        let found = faults(&format!("views: [{}]", view.replace("name: v", "name: derived")));
        assert_eq!(found, ["features.views[0].name: `derived` is what values made of several are named by"]);
    }

    /// Two view names whose `count_1h` have one number, found by the birthday bound: 200,000 names
    /// make 4.7 equal pairs of 32-bit numbers on average.
    fn colliding_view_names() -> (String, String) {
        let mut seen = BTreeMap::new();
        (0..200_000)
            .map(|number| format!("v{number}"))
            .find_map(|name| {
                let id = feature_id(&format!("{name}__count_1h"));
                seen.insert(id, name.clone()).map(|earlier| (earlier, name))
            })
            .expect("the names are fixed, and two of them do collide")
    }

    #[test]
    fn two_features_with_one_number_are_refused() {
        let (first, second) = colliding_view_names();
        let view = |name: &str| {
            format!("{{name: {name}, entity: ip, source: click, windows: [1h], features: [count]}}")
        };
        let found = faults(&format!("views: [{}, {}]", view(&first), view(&second)));
        let expected = format!(
            "features.views[1].features[0]: `{second}__count_1h` has the number of \
             `{first}__count_1h`; rename the view"
        );
        assert_eq!(found, [expected]);
    }

    #[test]
    fn windows_keep_the_spelling_of_the_file_in_the_names() {
        let text = "views: [{name: v, entity: card, source: payment_attempted, windows: [90m, 1d],
            features: [count, time_since_last, {mean: amount}, {distinct: card_country}]}]";
        let spec: FeaturesSpec = serde_saphyr::from_str(text).unwrap();
        let views = spec.resolve().unwrap();
        let names: Vec<String> = views[0].features().into_iter().map(|f| f.name).collect();
        let expected = [
            "v__count_90m",
            "v__count_1d",
            "v__seconds_since_last",
            "v__amount_mean_90m",
            "v__amount_mean_1d",
            "v__card_country_distinct_90m",
            "v__card_country_distinct_1d",
        ];
        assert_eq!(names, expected);
    }
}
