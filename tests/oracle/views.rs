//! The default views (src/config/defaults/features.yaml), written out by hand.

use tillstream::event::{Body, ClickName, EntityKind, FieldId, Value};

/// Which events a view is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventSource {
    /// `payment_attempted`
    Attempted,
    /// `payment_result`
    Result,
    /// `click`
    Click,
    /// `label`
    Label,
    /// `order_placed`
    OrderPlaced,
    /// `pos_transaction`
    Basket,
    /// `login_failed`
    LoginFailed,
    /// `credential_changed`
    CredentialChanged,
    /// `address_changed`
    AddressChanged,
}

/// Every source that a view reads.
pub const SOURCES: [EventSource; 9] = [
    EventSource::Attempted,
    EventSource::Result,
    EventSource::Click,
    EventSource::Label,
    EventSource::OrderPlaced,
    EventSource::Basket,
    EventSource::LoginFailed,
    EventSource::CredentialChanged,
    EventSource::AddressChanged,
];

/// A view as declared.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// Whose events.
    pub entity: EntityKind,
    /// Which events.
    pub source: EventSource,
    /// Windows as spelled, and in milliseconds.
    pub windows: Vec<(&'static str, i64)>,
    /// In milliseconds.
    pub delay: i64,
    /// Whether the payment itself counts.
    pub include_current: bool,
    /// What is computed.
    pub features: Vec<Feature>,
    /// Which events count, if not all.
    pub filter: Option<Filter>,
}

/// A filter, written out by hand.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Tells it from others, from 1.
    pub number: u8,
    /// Whether an event counts, by its copy and the values there.
    pub counts: fn(&Body<'_>, &[(FieldId, Value)]) -> bool,
}

/// What is computed over each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `count`
    Count,
    /// `sum: …`
    Sum(FieldId),
    /// `mean: …`
    Mean(FieldId),
    /// `stddev: …`
    StandardDeviation(FieldId),
    /// `ratio: …`: a payment's own number by the mean before it.
    Ratio(FieldId),
    /// `min: …`
    Min(FieldId),
    /// `max: …`
    Max(FieldId),
    /// `distinct: …`
    Distinct(FieldId),
    /// `top3: …`: the share of the most frequent values.
    Top(u8, FieldId),
    /// `last: …`, which has no window.
    Last(FieldId),
    /// `time_since_first`, which has no window.
    TimeSinceFirst,
    /// `time_since_last`, which has no window.
    TimeSinceLast,
}

const M10: (&str, i64) = ("10m", 600_000);
const H1: (&str, i64) = ("1h", 3_600_000);
const H24: (&str, i64) = ("24h", 86_400_000);
const D7: (&str, i64) = ("7d", 604_800_000);
const D30: (&str, i64) = ("30d", 2_592_000_000);

/// A view without delay that counts every event of `source`, the one it is asked for included.
fn view(
    name: &'static str,
    entity: EntityKind,
    source: EventSource,
    windows: &[(&'static str, i64)],
    features: &[Feature],
) -> View {
    View {
        name,
        entity,
        source,
        windows: windows.to_vec(),
        delay: 0,
        include_current: true,
        features: features.to_vec(),
        filter: None,
    }
}

/// The views that tillstream comes with.
#[must_use]
pub fn defaults() -> Vec<View> {
    use EntityKind::{Card, Customer, Device, Ip, Store, Terminal, Visitor};
    use EventSource::{
        AddressChanged, Attempted, Basket, Click, CredentialChanged, Label, LoginFailed, OrderPlaced, Result,
    };
    use Feature::{Count, Distinct, Last, Max, Mean, StandardDeviation, Sum, TimeSinceFirst, TimeSinceLast};
    let amount = FieldId::AmountMinor;
    let card = Distinct(FieldId::Card);
    vec![
        view(
            "card_velocity",
            Card,
            Attempted,
            &[M10, H1, H24, D7],
            &[
                Count,
                Sum(amount),
                Mean(amount),
                Max(amount),
                Distinct(FieldId::Device),
                Distinct(FieldId::Ip),
                Last(amount),
                TimeSinceFirst,
                TimeSinceLast,
            ],
        ),
        view("card_results", Card, Result, &[H1, H24], &[Count, Mean(FieldId::Declined)]),
        view("card_labels", Card, Label, &[D30], &[Count, Sum(FieldId::Fraud)]),
        view("terminal_labels", Terminal, Label, &[D7, D30], &[Count, Mean(FieldId::Fraud)]),
        view(
            "customer_velocity",
            Customer,
            Attempted,
            &[H1, H24, D7, D30],
            &[Count, Sum(amount), Mean(amount), StandardDeviation(amount), card],
        ),
        view("customer_logins", Customer, LoginFailed, &[H1, H24], &[Count, Distinct(FieldId::Ip)]),
        view("customer_credentials", Customer, CredentialChanged, &[H24], &[Count, TimeSinceLast]),
        view("customer_addresses", Customer, AddressChanged, &[H24], &[Count]),
        view("ip_logins", Ip, LoginFailed, &[M10, H1], &[Count, Distinct(FieldId::Customer)]),
        view("customer_orders", Customer, OrderPlaced, &[D30], &[Count, Sum(amount)]),
        view(
            "customer_baskets",
            Customer,
            Basket,
            &[D30],
            &[Count, Sum(amount), Sum(FieldId::ReturnedMinor)],
        ),
        view(
            "device_velocity",
            Device,
            Attempted,
            &[M10, H1, H24],
            &[Count, Sum(amount), Mean(amount), card],
        ),
        view("ip_velocity", Ip, Attempted, &[M10, H1, H24], &[Count, Mean(amount), card]),
        view("visitor_velocity", Visitor, Attempted, &[H1, H24], &[Count, card]),
        view("visitor_clicks", Visitor, Click, &[M10, H1], &[Count]),
        view("store_velocity", Store, Attempted, &[H1, H24], &[Count, Sum(amount), Mean(amount)]),
        view(
            "terminal_velocity",
            Terminal,
            Attempted,
            &[M10, H1, H24],
            &[Count, Sum(amount), Mean(amount), card],
        ),
    ]
}

/// Views with filters, in YAML and by hand.
pub const FILTERED: &str = "
  - name: card_large
    entity: card
    source: payment_attempted
    where: amount > 5000.0 && currency == 'EUR'
    windows: [1h, 24h]
    features: [count, sum: amount, distinct: device, top1: device, ratio: amount, time_since_last]
  - name: card_small
    entity: card
    source: payment_attempted
    where: amount <= 1000
    windows: [1h]
    features: [count]
  - name: customer_habits
    entity: customer
    source: payment_attempted
    windows: [1h, 24h]
    include_current: false
    features: [ratio: amount, top2: ip]
  - name: visitor_carts
    entity: visitor
    source: click
    where: name == 'add_to_cart' || value > 2500
    windows: [1h]
    features: [count, sum: value, top3: page]
  - name: ip_clicks
    entity: ip
    source: click
    windows: [10m, 1h]
    features: [count, top8: page, top2: name]
  - name: customer_returns
    entity: customer
    source: pos_transaction
    where: returned > 0
    windows: [30d]
    features: [count, sum: returned]
";

fn number(values: &[(FieldId, Value)], field: FieldId) -> Option<i64> {
    values.iter().find_map(|(known, value)| match value {
        Value::Number(number) if *known == field => Some(*number),
        _ => None,
    })
}

/// Those of [`FILTERED`].
#[must_use]
pub fn filtered() -> Vec<View> {
    use EntityKind::{Card, Customer, Ip, Visitor};
    use EventSource::{Attempted, Basket, Click};
    use Feature::{Count, Distinct, Sum, TimeSinceLast, Top};
    let view = |name, entity, source, windows: &[_], features: &[_], filter| View {
        filter: Some(filter),
        ..view(name, entity, source, windows, features)
    };
    let large = Filter {
        number: 1,
        counts: |_, values| number(values, FieldId::AmountMinor).is_some_and(|amount| amount > 5_000),
    };
    let small = Filter {
        number: 2,
        counts: |_, values| number(values, FieldId::AmountMinor).is_some_and(|amount| amount <= 1_000),
    };
    let carts = Filter {
        number: 1,
        // a filter that lacks something it reads is not passed
        counts: |body, values| {
            let name = match body {
                Body::Click(click) => click.name,
                _ => return false,
            };
            let value = number(values, FieldId::ValueMinor);
            value.is_some_and(|value| name == ClickName::AddToCart || value > 2_500)
        },
    };
    let returns = Filter {
        number: 1,
        counts: |_, values| number(values, FieldId::ReturnedMinor).is_some_and(|returned| returned > 0),
    };
    let amount = FieldId::AmountMinor;
    vec![
        view(
            "card_large",
            Card,
            Attempted,
            &[H1, H24],
            &[
                Count,
                Sum(amount),
                Distinct(FieldId::Device),
                Top(1, FieldId::Device),
                Feature::Ratio(amount),
                TimeSinceLast,
            ],
            large,
        ),
        view("card_small", Card, Attempted, &[H1], &[Count], small),
        View {
            include_current: false,
            filter: None,
            ..view(
                "customer_habits",
                Customer,
                Attempted,
                &[H1, H24],
                &[Feature::Ratio(amount), Top(2, FieldId::Ip)],
                small,
            )
        },
        view(
            "visitor_carts",
            Visitor,
            Click,
            &[H1],
            &[Count, Sum(FieldId::ValueMinor), Top(3, FieldId::Page)],
            carts,
        ),
        View {
            filter: None,
            ..view(
                "ip_clicks",
                Ip,
                Click,
                &[M10, H1],
                &[Count, Top(8, FieldId::Page), Top(2, FieldId::EventName)],
                carts,
            )
        },
        view("customer_returns", Customer, Basket, &[D30], &[Count, Sum(FieldId::ReturnedMinor)], returns),
    ]
}

impl View {
    /// The number of its filter; 0 without one.
    #[must_use]
    pub fn filter_number(&self) -> u8 {
        self.filter.map_or(0, |filter| filter.number)
    }
}

impl Feature {
    /// Whether it is computed over windows.
    #[must_use]
    pub fn has_window(self) -> bool {
        !matches!(self, Feature::Last(_) | Feature::TimeSinceFirst | Feature::TimeSinceLast)
    }
}

impl View {
    /// The flat name of a feature of this view, such as `card_velocity__amount_sum_1h`.
    #[must_use]
    pub fn flat_name(&self, feature: Feature, window: &str) -> String {
        let of = |field: FieldId, what: &str| format!("{}_{what}_{window}", field.name());
        let feature = match feature {
            Feature::Count => format!("count_{window}"),
            Feature::Sum(field) => of(field, "sum"),
            Feature::Mean(field) => of(field, "mean"),
            Feature::StandardDeviation(field) => of(field, "stddev"),
            Feature::Ratio(field) => of(field, "ratio"),
            Feature::Min(field) => of(field, "min"),
            Feature::Max(field) => of(field, "max"),
            Feature::Distinct(field) => of(field, "distinct"),
            Feature::Top(most, field) => of(field, &format!("top{most}")),
            Feature::Last(field) => format!("{}_last", field.name()),
            Feature::TimeSinceFirst => "seconds_since_first".to_owned(),
            Feature::TimeSinceLast => "seconds_since_last".to_owned(),
        };
        format!("{}__{feature}", self.name)
    }
}
