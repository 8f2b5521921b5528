//! `features.yaml`, compiled: the groups, and every feature by name and number.

use super::derived::Derived;
use super::filter::{Filter, Filters};
use super::group::{Group, GroupId};
use super::spec::FeaturesSpec;
use super::view::{Feature, View};
use crate::event::{EntityKind, EntitySet, FieldId, Source};
use crate::fault::Fault;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How many groups there can be.
const GROUPS_MAX: usize = EntityKind::ALL.len() * Source::NAMES.len();

/// Everything that the declared views ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturePlan {
    /// One place for each kind and source, see [`place`]; at each, the group without a filter, then by filter.
    places: [Place; GROUPS_MAX],
    /// By flat name.
    features: BTreeMap<String, Feature>,
    /// The flat name of each number.
    names: BTreeMap<u32, String>,
    /// In the order of the file: one may read those before it.
    derived: Vec<Derived>,
}

/// The views of one kind of entity on one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    groups: Vec<Group>,
    filters: Option<Arc<Filters>>,
    /// What any of the groups reads.
    fields: Vec<FieldId>,
}

impl FeaturePlan {
    /// Compiles a file. `allowed_lateness` is that of the sessions; keys are kept that much longer
    /// than their views look back.
    ///
    /// # Errors
    ///
    /// Every fault of the file; see [`FeaturesSpec::resolve`].
    pub fn compile(spec: &FeaturesSpec, allowed_lateness: Duration) -> Result<FeaturePlan, Vec<Fault>> {
        let (views, derived) = spec.resolve_all()?;
        let features = || views.iter().flat_map(View::features);
        Ok(FeaturePlan {
            places: std::array::from_fn(|place| Place::compile(place, &views, allowed_lateness)),
            features: features().map(|feature| (feature.name.clone(), feature)).collect(),
            names: features().map(|feature| (feature.id, feature.name)).collect(),
            derived,
        })
    }

    fn place(&self, kind: EntityKind, source: Source) -> Option<&Place> {
        self.places.get(place(kind, source))
    }

    /// The views of `kind` on `source`: those without a filter, then by filter.
    #[must_use]
    pub fn groups_at(&self, kind: EntityKind, source: Source) -> &[Group] {
        self.place(kind, source).map_or(&[], |place| &place.groups)
    }

    /// A group of a kind, if there is one.
    #[must_use]
    pub fn group(&self, kind: EntityKind, id: GroupId) -> Option<&Group> {
        self.groups_at(kind, id.source).iter().find(|group| group.id() == id)
    }

    /// The groups of a kind, all of which answer at a payment, in the order of [`Source::NAMES`].
    pub fn groups_of(&self, kind: EntityKind) -> impl Iterator<Item = &Group> {
        Source::all().flat_map(move |source| self.groups_at(kind, source))
    }

    /// Every group, by kind, then source.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.places.iter().flat_map(|place| &place.groups)
    }

    /// The filters of the views of `kind` on `source`, if there are any.
    #[must_use]
    pub fn filters(&self, kind: EntityKind, source: Source) -> Option<&Filters> {
        self.place(kind, source).and_then(|place| place.filters.as_deref())
    }

    /// The kinds that have a view on `source`.
    #[must_use]
    pub fn kinds_with(&self, source: Source) -> EntitySet {
        EntityKind::ALL.into_iter().filter(|kind| !self.groups_at(*kind, source).is_empty()).collect()
    }

    /// The fields that a copy of an event of `source` must carry for `kind`; none without a view.
    #[must_use]
    pub fn fields(&self, kind: EntityKind, source: Source) -> &[FieldId] {
        self.place(kind, source).map_or(&[], |place| &place.fields)
    }

    /// Whether the kind has any view, and so answers at a payment.
    #[must_use]
    pub fn has_view(&self, kind: EntityKind) -> bool {
        self.groups_of(kind).next().is_some()
    }

    /// Every flat name with its number, those made of several among them, in the order of the alphabet.
    #[must_use]
    pub fn feature_names(&self) -> Vec<(String, u32)> {
        let features = self.features.iter().map(|(name, feature)| (name.clone(), feature.id));
        let derived = self.derived.iter().map(|derived| (derived.name.clone(), derived.id));
        let mut names: Vec<_> = features.chain(derived).collect();
        names.sort_unstable();
        names
    }

    /// Adds the values made of several to the `features` of a payment, which are and stay in rising order of their numbers.
    pub fn derive(&self, amount_minor: Option<f64>, features: &mut Vec<(u32, f64)>) {
        for derived in &self.derived {
            if let Some(value) = derived.value(amount_minor, features) {
                let place = features.partition_point(|(id, _)| *id < derived.id);
                features.insert(place, (derived.id, value));
            }
        }
    }

    /// The window of the feature of that flat name; of a value made of several the longest of theirs.
    #[must_use]
    pub fn window_of(&self, name: &str) -> Option<Duration> {
        if let Some(feature) = self.features.get(name) {
            return feature.window;
        }
        let derived = self.derived.iter().find(|derived| derived.name == name)?;
        derived.features().filter_map(|id| self.feature_of(id)?.window).max()
    }

    /// The kinds of the entities that a value of that flat name is about; none if it is no feature.
    pub fn entities_of(&self, name: &str) -> impl Iterator<Item = EntityKind> {
        let own = self.features.get(name).map(|feature| feature.entity);
        let derived = self.derived.iter().filter(move |derived| derived.name == name);
        let several = derived.flat_map(|derived| derived.features());
        own.into_iter().chain(several.filter_map(|id| Some(self.feature_of(id)?.entity)))
    }

    /// Every feature, by name.
    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.features.values()
    }

    /// The flat name of that number: of a feature, or of a value made of several.
    #[must_use]
    pub fn name_of_any(&self, id: u32) -> Option<&str> {
        let feature = self.names.get(&id).map(String::as_str);
        feature.or_else(|| {
            self.derived.iter().find(|derived| derived.id == id).map(|derived| derived.name.as_str())
        })
    }

    /// The feature of that flat name.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.get(name)
    }

    /// The feature with that number.
    #[must_use]
    pub fn feature_of(&self, id: u32) -> Option<&Feature> {
        self.names.get(&id).and_then(|name| self.features.get(name))
    }

    /// The flat name of a feature that a group of this plan has answered.
    ///
    /// # Panics
    ///
    /// If no feature of the plan has that number; a number from elsewhere is for
    /// [`FeaturePlan::feature_of`].
    #[must_use]
    pub fn name_of(&self, id: u32) -> &str {
        self.names.get(&id).expect("a group answers features of its own plan")
    }
}

/// Where the group of a kind and source stands.
fn place(kind: EntityKind, source: Source) -> usize {
    kind.index() * Source::NAMES.len() + source.index()
}

impl Place {
    /// What the views make of the place `at`.
    fn compile(at: usize, views: &[View], allowed_lateness: Duration) -> Place {
        let there: Vec<&View> = views.iter().filter(|view| place(view.entity, view.source) == at).collect();
        let Some(first) = there.first() else { return Place::default() };
        let of = (first.entity, first.source);
        let mut texts: Vec<String> = Vec::new();
        for text in there.iter().filter_map(|view| view.filter.as_ref()) {
            if !texts.contains(text) {
                texts.push(text.clone());
            }
        }
        let filters = Filters::compile(of.1, texts.clone()).map(Arc::new);
        let hash = filters.as_ref().map_or(0, |filters| filters.hash());
        let group = |(text, filter): (Option<&String>, Option<Filter>)| {
            let views: Vec<&View> =
                there.iter().copied().filter(|view| view.filter.as_ref() == text).collect();
            (!views.is_empty()).then(|| Group::compile(of, filter, &views, allowed_lateness))
        };
        let filtered = (0_u8..).zip(&texts);
        let filtered = filtered.map(|(place, text)| (Some(text), Some(Filter { place, of: hash })));
        let groups: Vec<Group> = std::iter::once((None, None)).chain(filtered).filter_map(group).collect();
        let mut fields: Vec<FieldId> = groups.iter().flat_map(Group::fields).copied().collect();
        if groups.len() > 1 {
            fields.sort_unstable();
            fields.dedup();
        }
        Place { groups, filters, fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::part::feature_id;

    const FILE: &str = "views:
  - name: card_velocity
    entity: card
    source: payment_attempted
    windows: [10m, 24h]
    features: [count, {sum: amount}, {distinct: device}, time_since_last]
  - name: card_slow
    entity: card
    source: payment_attempted
    windows: [1h]
    delay: 48h
    features: [{mean: amount}]
  - name: card_results
    entity: card
    source: payment_result
    windows: [1h]
    features: [count]
  - name: device_clicks
    entity: device
    source: click
    windows: [1h]
    features: [{sum: value}, {mean: items}, {distinct: page}]
";

    fn plan(text: &str) -> FeaturePlan {
        let spec: FeaturesSpec = serde_saphyr::from_str(text).unwrap();
        FeaturePlan::compile(&spec, Duration::from_secs(300)).unwrap()
    }

    #[test]
    fn views_of_one_kind_and_source_share_a_group() {
        let plan = plan(FILE);
        let group = plan.groups_at(EntityKind::Card, Source::PaymentAttempted).first().unwrap();
        assert_eq!(group.fields(), [FieldId::AmountMinor, FieldId::Device]);
        assert_eq!(group.retention(), Duration::from_secs(49 * 3600 + 300));
        let windows: Vec<u64> = group.windows().map(|window| window.as_secs()).collect();
        assert_eq!(windows, [600, 3600, 86400]);
        assert_eq!(group.features().len(), 8);
        assert_eq!(plan.groups().count(), 3);
        assert_eq!(plan.groups_of(EntityKind::Card).count(), 2);
        assert!(plan.groups_at(EntityKind::Device, Source::PaymentAttempted).is_empty());
        assert!(plan.has_view(EntityKind::Device) && !plan.has_view(EntityKind::Ip));
    }

    #[test]
    fn the_plan_says_where_events_go_and_what_they_carry() {
        let plan = plan(FILE);
        let card = EntitySet::default().with(EntityKind::Card);
        assert_eq!(plan.kinds_with(Source::PaymentAttempted), card);
        assert_eq!(plan.kinds_with(Source::PaymentResult), card);
        assert_eq!(plan.kinds_with(Source::Click), EntitySet::default().with(EntityKind::Device));
        let clicks = plan.fields(EntityKind::Device, Source::Click);
        assert_eq!(clicks, [FieldId::ValueMinor, FieldId::ItemCount, FieldId::Page]);
        assert!(plan.fields(EntityKind::Card, Source::PaymentResult).is_empty());
        assert!(plan.fields(EntityKind::Ip, Source::Click).is_empty());
    }

    #[test]
    fn every_feature_is_found_by_name_and_by_number() {
        let plan = plan(FILE);
        let names = plan.feature_names();
        assert_eq!(names.len(), 12);
        assert!(names.is_sorted());
        for (name, id) in names {
            assert_eq!(id, feature_id(&name));
            assert_eq!(plan.name_of(id), name);
            assert!(plan.feature(&name).is_some_and(|feature| feature.id == id && feature.name == name));
            assert_eq!(plan.feature_of(id), plan.feature(&name));
        }
        assert_eq!(plan.feature_of(0), None);
        let slow = plan.feature("card_slow__amount_mean_1h").unwrap();
        assert!(!slow.sees_current(), "a delay keeps the payment out");
    }

    #[test]
    fn the_bound_of_a_key_is_the_larger_of_ring_and_buckets() {
        let plan = plan(FILE);
        let card = plan.groups_at(EntityKind::Card, Source::PaymentAttempted).first().unwrap().memory();
        assert_eq!(card.ring_bytes(), 256 * (16 + 2 * 9));
        // 15 min in buckets of 9.375 s, 49 h 5 min (its delay) of 56.25 s and 24 h 5 min of 22.5 min, rounded
        // up, and one more of each.
        let buckets = 97 + 3_143 + 66;
        assert_eq!(card.large_key_bytes(), buckets * (16 + 32) + 1024 * 24);
        assert_eq!(card.bytes(), card.large_key_bytes());
        assert_eq!(
            card.to_string(),
            "ring 256 x (16 + 9 x 2) = 8704; large 97 buckets of 10m x 48 + 3143 buckets of 1h x 48 \
             + 66 buckets of 1day x 48 + 1 texts x 1024 x 24 = 183264"
        );
        let clicks = plan.groups_at(EntityKind::Device, Source::Click).first().unwrap();
        assert_eq!(clicks.memory().ring_bytes(), 0);
        assert_eq!(clicks.memory_per_key_bytes(), 71 * (16 + 2 * 32) + 1024 * 24);
    }

    #[test]
    fn a_file_without_views_asks_for_nothing() {
        let plan = plan("views: []");
        assert_eq!(plan.groups().count() + plan.feature_names().len(), 0);
        assert!(plan.kinds_with(Source::Click).is_empty());
    }

    #[test]
    fn a_file_with_faults_is_refused() {
        let text = "views: [{name: v, entity: card, source: click}]";
        let spec: FeaturesSpec = serde_saphyr::from_str(text).unwrap();
        assert_eq!(FeaturePlan::compile(&spec, Duration::ZERO).unwrap_err().len(), 2);
    }
}
