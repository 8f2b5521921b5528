//! From what is known of a payment to the buckets that a model has weights for.

use super::super::inputs::Inputs;
use super::super::names::{PaymentField, Variable};
use super::spec::ModelSpec;
use crate::condition::Known;
use crate::ftrl::{Learning, Token};
use xxhash_rust::xxh3::xxh3_64;

/// A model, ready to read payments. Immutable.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    name: String,
    /// Of everything that its tokens and weights depend on.
    hash: u64,
    learning: Learning,
    min_labels: u64,
    min_frauds: u64,
    publish_after: u64,
    /// Bits of the mantissa that tell buckets of one power of two apart.
    mantissa_bits: u32,
    inputs: Vec<Input>,
    /// The places of two inputs, and the number of the pair.
    crosses: Vec<(usize, usize, u64)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Input {
    name: String,
    number: u64,
    variable: Variable,
}

/// What a bucket is numbered without a value, and at 0.
const MISSING: u64 = u64::MAX;
const ZERO: u64 = u64::MAX - 1;
/// Bits of an `f64` below its exponent.
const MANTISSA_BITS: u32 = 52;

impl Model {
    pub(super) fn new(spec: &ModelSpec, variables: Vec<Variable>, crosses: Vec<(usize, usize)>) -> Model {
        let number = |name: &str| xxh3_64(name.as_bytes());
        let inputs: Vec<Input> = spec
            .inputs
            .iter()
            .zip(variables)
            .map(|(name, variable)| Input { name: name.clone(), number: number(name), variable })
            .collect();
        let names = |place: usize| spec.inputs.get(place).map_or("", String::as_str);
        let crosses = crosses
            .into_iter()
            .map(|(one, other)| (one, other, number(&format!("{} x {}", names(one), names(other)))))
            .collect();
        let mantissa_bits = spec.buckets_per_doubling.trailing_zeros();
        let parts = (&spec.name, &spec.inputs, &spec.crosses, spec.buckets_per_doubling, spec.learning);
        Model {
            name: spec.name.clone(),
            hash: xxh3_64(format!("{parts:?}").as_bytes()),
            learning: spec.learning,
            min_labels: spec.min_labels,
            min_frauds: spec.min_frauds,
            publish_after: spec.publish_after,
            mantissa_bits,
            inputs,
            crosses,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number of its own for all that its tokens and weights depend on: what another model has learned means nothing to it.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it counts after so many labels, of which so many were frauds; before, it is in shadow.
    #[must_use]
    pub fn is_live(&self, labels: u64, frauds: u64) -> bool {
        labels >= self.min_labels && frauds >= self.min_frauds
    }

    /// After so many labels its weights go out.
    #[must_use]
    pub fn publish_after(&self) -> u64 {
        self.publish_after
    }

    /// How it learns.
    #[must_use]
    pub fn learning(&self) -> Learning {
        self.learning
    }

    /// The names of its inputs.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|input| input.name.as_str())
    }

    /// How many tokens a payment has: one for each input, then one for each cross.
    #[must_use]
    pub fn tokens_per_payment(&self) -> usize {
        self.inputs.len() + self.crosses.len()
    }

    /// The tokens of a payment, in the order of the declaration; `into` is emptied first.
    pub fn tokens(&self, payment: &Inputs<'_>, into: &mut Vec<Token>) {
        into.clear();
        let buckets: Vec<u64> =
            self.inputs.iter().map(|input| self.bucket(input.variable, payment)).collect();
        into.extend(self.inputs.iter().zip(&buckets).map(|(input, bucket)| token([input.number, *bucket])));
        let bucket = |place: usize| buckets.get(place).copied().unwrap_or(MISSING);
        into.extend(
            self.crosses.iter().map(|(one, other, number)| token([*number, bucket(*one), bucket(*other)])),
        );
    }

    /// What the token at `place` is about: the input, or the two of a cross, each with its value in a reason.
    #[must_use]
    pub fn inputs_at(&self, place: usize, payment: &Inputs<'_>) -> Vec<(&str, serde_json::Value)> {
        let input = |place: usize| self.inputs.get(place);
        let inputs: Vec<&Input> =
            match place.checked_sub(self.inputs.len()).and_then(|cross| self.crosses.get(cross)) {
                Some((one, other, _)) => input(*one).into_iter().chain(input(*other)).collect(),
                None => input(place).into_iter().collect(),
            };
        inputs.into_iter().map(|input| (input.name.as_str(), payment.json(input.variable))).collect()
    }

    /// Log-spaced: sign, exponent and the upper bits of the mantissa. A text, an hour and a weekday have buckets of their own.
    fn bucket(&self, variable: Variable, payment: &Inputs<'_>) -> u64 {
        let is_of_the_clock =
            matches!(variable, Variable::Field(PaymentField::HourUtc | PaymentField::WeekdayUtc));
        match payment.known(variable) {
            None => MISSING,
            Some(Known::Number(0.0)) => ZERO,
            Some(Known::Number(number)) if is_of_the_clock => number.to_bits(),
            Some(Known::Number(number)) => number.to_bits() >> (MANTISSA_BITS - self.mantissa_bits),
            Some(Known::Text(text)) => xxh3_64(text.as_bytes()),
        }
    }
}

fn token<const PARTS: usize>(parts: [u64; PARTS]) -> Token {
    let bytes = parts.map(u64::to_le_bytes);
    u32::try_from(xxh3_64(bytes.as_flattened()) & 0xffff_ffff).expect("32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PaymentContext;
    use crate::time::EventTime;

    const CONTEXT: PaymentContext<'static> = PaymentContext {
        payment_id: "p",
        amount_minor: 1_999,
        currency: "EUR",
        channel: None,
        card_country: Some("DE"),
        ip_country: None,
        billing_country: None,
        shipping_country: None,
    };

    fn model(text: &str) -> Model {
        let spec: ModelSpec = serde_saphyr::from_str(text).expect("a shape");
        spec.compile(&[("v__a".to_owned(), 1), ("v__b".to_owned(), 2)]).expect("a good model")
    }

    fn tokens(model: &Model, features: &[(u32, f64)]) -> Vec<Token> {
        let mut tokens = Vec::new();
        let inputs = Inputs { features, time: EventTime(0), context: Some(&CONTEXT) };
        model.tokens(&inputs, &mut tokens);
        tokens
    }

    #[test]
    fn values_of_one_bucket_have_one_token_and_buckets_are_cut_by_ratios() {
        let model = model("{name: m, inputs: [v__a], buckets_per_doubling: 2}");
        let of = |value: f64| tokens(&model, &[(1, value)])[0];
        assert_eq!(of(1.0), of(1.49));
        assert_ne!(of(1.49), of(1.5));
        assert_eq!(of(1_000_000.0), of(1_000_001.0));
        let distinct: std::collections::BTreeSet<_> =
            [-2.0, -1.0, 0.0, 1e-9, 1.0, 1.5, 2.0, 3.0, 4.0].map(of).into_iter().collect();
        assert_eq!(distinct.len(), 9);
        assert_eq!(of(0.0), of(-0.0));
        assert!(!distinct.contains(&tokens(&model, &[])[0]), "without a value it is a bucket of its own");
    }

    #[test]
    fn texts_times_and_crosses_have_tokens_too() {
        let text =
            "{name: m, inputs: [v__a, card_country, ip_country, hour_utc], crosses: [[v__a, card_country]]}";
        let model = model(text);
        let some = tokens(&model, &[(1, 3.0)]);
        assert_eq!((some.len(), model.tokens_per_payment()), (5, 5));
        let other = tokens(&model, &[(1, 300.0)]);
        let differs: Vec<bool> = some.iter().zip(&other).map(|(one, other)| one != other).collect();
        assert_eq!(differs, [true, false, false, false, true]);
        let inputs = Inputs { features: &[(1, 3.0)], time: EventTime(0), context: Some(&CONTEXT) };
        let at = |place| model.inputs_at(place, &inputs);
        assert_eq!(at(1), [("card_country", "DE".into())]);
        assert_eq!(at(4), [("v__a", 3.0.into()), ("card_country", "DE".into())]);
        assert!(at(5).is_empty());
    }

    #[test]
    fn a_token_depends_on_the_names_and_not_on_their_order() {
        let (one, other) =
            (model("{name: m, inputs: [v__a, v__b]}"), model("{name: n, inputs: [v__b, v__a]}"));
        let features = [(1, 3.0), (2, 9.0)];
        let (one, other) = (tokens(&one, &features), tokens(&other, &features));
        assert_eq!((one[0], one[1]), (other[1], other[0]));
    }

    #[test]
    fn every_fault_of_a_model_is_named_with_its_place() {
        let text = "{name: M, inputs: [v__a, v__c, v__a], crosses: [[v__a, v__b], [v__a, v__a]], buckets_per_doubling: 3,
            learning: {alpha: 0, l1: -1}}";
        let spec: ModelSpec = serde_saphyr::from_str(text).expect("a shape");
        let faults = spec.compile(&[("v__a".to_owned(), 1)]).expect_err("it has faults");
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "model.name: must be a lower-case letter, then lower-case letters, digits and `_`",
                "model.inputs[1]: unknown name `v__c`; nearest: `v__a`",
                "model.inputs[2]: `v__a` is named before",
                "model.crosses[0]: `v__b` is not among the inputs",
                "model.crosses[1]: must be two inputs",
                "model.buckets_per_doubling: must be one of 1, 2, 4, 8, 16",
                "model.learning.alpha: must be from 0.000001 to 1000000, and is 0",
                "model.learning.l1: must be from 0 to 1000000, and is -1",
            ]
        );
    }

    #[test]
    fn a_model_is_not_named_like_the_score_that_decides_and_crosses_no_two_inputs_twice() {
        let text = "{name: fraud, inputs: [v__a, v__b], crosses: [[v__a, v__b], [v__b, v__a]]}";
        let spec: ModelSpec = serde_saphyr::from_str(text).expect("a shape");
        let names = [("v__a".to_owned(), 1), ("v__b".to_owned(), 2)];
        let faults = spec.compile(&names).expect_err("it has faults");
        let places: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(places, ["model.name", "model.crosses[1]"]);
    }
}
