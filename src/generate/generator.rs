//! The shop's clockwork: who acts next, and which record arrives next.

use super::account::Account;
use super::agenda::Agenda;
use super::announcement::Announcement;
use super::change::Part;
use super::foreign::Foreign;
use super::label::{Fraud, Label};
use super::merchandise::{self, Merchandise, PriceList};
use super::oddity::{Fault, Nature, Oddity, Odds};
use super::order::Order;
use super::ordinary;
use super::planted::{Bot, CardTester};
use super::profile::Profile;
use super::random::{Random, mix};
use super::sale::Sale;
use super::settings::GenerateSettings;
use super::stage::{Draft, PlantedRecord, Shop, Stage};
use super::till::Till;
use super::truth::{Accounting, Truth};
use super::visit::{Begins, Visit};
use super::wire;
use super::{GeneratedRecord, RawTopic};
use crate::time::EventTime;

/// Arrivals that are payments in a store, in a thousand; the others are visits. With it, payments
/// are about 5 % of all records.
const TILL_PER_MILLE: u64 = 90;

/// Records of an average arrival, without copies, measured over ten million records.
const RECORDS_PER_ARRIVAL: f64 = 4.871;

/// The same where the shop is whole.
const RECORDS_PER_ARRIVAL_WHOLE: f64 = 5.02;

/// What follows a record elsewhere, an order a purchase, follows it after so long.
const FOLLOWS_MS: (i64, i64) = (300, 1_500);

/// Records of a card tester and a bot together, on average: 75 and 400.
const RECORDS_PER_PATTERN: f64 = 475.0;

/// A pattern takes at most this share of the stream, so that also a short stream holds all of it.
const PATTERN_SPAN_MAX: f64 = 0.33;

/// Events of those who are aside are numbered from here on: no stream is as long.
const FIRST_EVENT_ASIDE: u64 = 1 << 48;

/// A copy of a record arrives this long after it.
const RETRY_MS: (i64, i64) = (50, 2_000);

/// Retail traffic: exactly [`GenerateSettings::events`] records, in the order of their arrival.
///
/// Timestamps never go back, but for the copies that a producer's retry makes: a copy has the
/// timestamp of the first.
#[derive(Debug)]
pub struct Generator {
    settings: GenerateSettings,
    shop: Shop,
    profile: Profile,
    odds: Odds,
    random: Random,
    /// Dice of those who are aside.
    aside: Random,
    /// Everyone who is at it, by the time of the next act.
    actors: Agenda<Actor>,
    /// When the next visit or payment in a store begins, in milliseconds since the epoch.
    next_arrival: f64,
    /// Visits and payments in a store begun, payments begun, events that happened.
    begun: Begun,
    draft: Draft,
    /// Records on their way, by arrival.
    under_way: Agenda<UnderWay>,
    plans: Vec<Plan>,
    /// Changes that have begun.
    changes_begun: usize,
    /// The accounting, fraud without a pattern if there is any, then patterns and changes.
    truth: Vec<Truth>,
}

/// Counters from which ids are made.
#[derive(Debug, Default)]
struct Begun {
    arrivals: u64,
    payments: u64,
    events: u64,
    events_aside: u64,
}

#[derive(Debug)]
enum Actor {
    Visit(Visit),
    Till(Till),
    CardTester(CardTester),
    Bot(Bot),
    Label(Label),
    Order(Order),
    Sale(Sale),
    Account(Account),
    Merchandise(Merchandise),
    PriceList(PriceList),
    Announcement(Announcement),
    Foreign(Foreign),
}

/// A record that has not arrived yet.
#[derive(Debug)]
struct UnderWay {
    record: GeneratedRecord,
    event_time: EventTime,
    oddity: Oddity,
    planted: Option<PlantedRecord>,
    /// The payment, if it is fraud without a pattern.
    ordinary_fraud: Option<u64>,
}

/// A planted pattern: what there will be to say of it, then where it is said.
#[derive(Debug)]
enum Plan {
    Waiting(Truth),
    Told(usize),
}

impl Generator {
    /// The traffic of `settings`.
    ///
    /// # Panics
    ///
    /// If a setting is out of range. Where settings come from outside, ask
    /// [`GenerateSettings::check`] first.
    #[must_use]
    pub fn new(settings: GenerateSettings) -> Generator {
        if let Err(error) = settings.check() {
            panic!("settings to generate from: {error}");
        }
        let mut generator = Generator {
            shop: Shop::new(&settings),
            profile: Profile::new(),
            odds: Odds::new(&settings.shares, settings.start.0),
            random: Random::new(settings.seed),
            aside: Random::new(mix(settings.seed)),
            actors: Agenda::new(),
            next_arrival: settings.start.0 as f64,
            begun: Begun::default(),
            draft: Draft::new(),
            under_way: Agenda::new(),
            plans: Vec::new(),
            changes_begun: 0,
            truth: vec![Truth::Accounting(Accounting::default())],
            settings,
        };
        if generator.settings.ordinary_fraud > 0.0 {
            let (share, payment_ids) = (generator.settings.ordinary_fraud, Vec::new());
            generator.truth.push(Truth::OrdinaryFraud { share, payment_ids });
        }
        generator.plan_patterns();
        generator.plan_changes_of_the_catalogue();
        generator.plan_announcements();
        generator.plan_arrival();
        generator
    }

    /// The whole catalogue as the shop opens, for whoever plays it before the traffic; nothing where the shop is not whole. It
    /// is not among the records that are counted.
    pub fn catalogue(&self) -> impl Iterator<Item = GeneratedRecord> + '_ {
        let start_ms = self.settings.start.0;
        let level = self.shop.changes.price_level(start_ms);
        let items = if self.settings.is_whole { self.shop.catalogue.len() } else { 0 };
        (0..items).map(move |place| merchandise::listed(self.shop.catalogue.item(place), level, start_ms))
    }

    /// The truth about the records produced so far: the accounting, then the planted patterns and
    /// changes in the order of their first records.
    #[must_use]
    pub fn truth(&self) -> &[Truth] {
        &self.truth
    }

    /// How many records were produced so far, and how many of them are odd in which way.
    #[must_use]
    pub fn accounting(&self) -> &Accounting {
        match self.truth.first() {
            Some(Truth::Accounting(accounting)) => accounting,
            _ => unreachable!("the accounting comes first"),
        }
    }

    fn accounting_mut(&mut self) -> &mut Accounting {
        match self.truth.first_mut() {
            Some(Truth::Accounting(accounting)) => accounting,
            _ => unreachable!("the accounting comes first"),
        }
    }

    /// Places card testers and bots evenly over the stream, each somewhere in the first half of its
    /// part of it.
    fn plan_patterns(&mut self) {
        let stream_start = self.settings.start.0 as f64;
        let stream_mass = self.settings.events as f64 * self.mean_gap_ms();
        let span_ms_max =
            whole((self.profile.after(stream_start, stream_mass) - stream_start) * PATTERN_SPAN_MAX);
        let count = self.settings.patterns();
        for part in 0..count {
            for is_bot in [false, true] {
                let place = part as f64 + 0.1 + self.random.below(500) as f64 / 1_000.0;
                let start = self.profile.after(stream_start, stream_mass * place / count as f64);
                let pattern = self.plans.len();
                let (truth, actor) = if is_bot {
                    let bot = Bot::new(&self.shop, pattern, span_ms_max, &mut self.random);
                    (bot.truth(), Actor::Bot(bot))
                } else {
                    let tester = CardTester::new(&self.shop, pattern, span_ms_max, &mut self.random);
                    (tester.truth(), Actor::CardTester(tester))
                };
                self.plans.push(Plan::Waiting(truth));
                self.actors.schedule(whole(start), actor);
            }
        }
    }

    fn plan_announcements(&mut self) {
        let start_ms = self.settings.start.0;
        for (time_ms, announcement) in self.shop.changes.all().filter_map(Announcement::of) {
            self.actors.schedule(time_ms.max(start_ms), Actor::Announcement(announcement));
        }
    }

    fn plan_changes_of_the_catalogue(&mut self) {
        if self.settings.is_whole {
            let merchandise = Merchandise::new(self.settings.events_per_second);
            self.actors.schedule(self.settings.start.0, Actor::Merchandise(merchandise));
            for time_ms in
                self.shop.changes.price_changes_ms().filter(|time_ms| *time_ms > self.settings.start.0)
            {
                self.actors.schedule(time_ms, Actor::PriceList(PriceList::default()));
            }
        }
    }

    /// Milliseconds from one record to the next, on average over a week.
    fn mean_gap_ms(&self) -> f64 {
        1_000.0 / self.settings.events_per_second
    }

    /// Draws when the next visit or payment in a store begins: a Poisson process with the profile's
    /// intensity.
    fn plan_arrival(&mut self) {
        // What copies and patterns add to the stream, visits and tills must leave to them.
        let copies = self.settings.shares.duplicate;
        let planted =
            self.settings.patterns() as f64 * RECORDS_PER_PATTERN / self.settings.events.max(1) as f64;
        let ordinary = (1.0 - planted).max(0.1) / (1.0 + copies);
        let records = if self.settings.is_whole { RECORDS_PER_ARRIVAL_WHOLE } else { RECORDS_PER_ARRIVAL };
        let volume = self.shop.changes.volume(whole(self.next_arrival));
        let mass = self.random.exponential(self.mean_gap_ms() * records / ordinary / volume);
        self.next_arrival = self.profile.after(self.next_arrival, mass);
    }

    /// Lets in the visitor or customer who arrives at `time_ms`.
    fn admit(&mut self, time_ms: i64) {
        self.begun.arrivals += 1;
        let actor = if self.random.per_mille(self.tills_per_mille(time_ms)) {
            self.begun.payments += 1;
            let tells_of_capture = self.odds.unknown(&mut self.random);
            Actor::Till(Till::new(
                &self.shop,
                self.begun.payments,
                time_ms,
                tells_of_capture,
                &mut self.random,
            ))
        } else {
            Actor::Visit(Visit::new(&self.shop, self.begun.arrivals, time_ms, &mut self.random))
        };
        self.actors.schedule(time_ms, actor);
        self.plan_arrival();
    }

    /// Arrivals that are payments in a store at `time_ms`, in a thousand.
    fn tills_per_mille(&self, time_ms: i64) -> u64 {
        let more = self.shop.changes.share_of_tills(time_ms);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred at most")]
        let per_mille = (TILL_PER_MILLE as f64 * more).round() as u64;
        per_mille
    }

    /// Lets the first actor act, and sends its record on its way.
    fn act(&mut self) {
        let Generator { actors, shop, odds, random, aside, draft, begun, under_way, settings, .. } = self;
        let (mut label, mut begins, mut foreign) = (None, None, None);
        actors.act_first(|now_ms, actor| {
            let (random, event) = if actor.is_aside() {
                begun.events_aside += 1;
                (aside, FIRST_EVENT_ASIDE + begun.events_aside)
            } else {
                begun.events += 1;
                (random, begun.events)
            };
            let fate = odds.fate(actor.nature(), now_ms, random);
            draft.clear();
            let mut stage = Stage { shop, random, draft, payments: &mut begun.payments, event, now_ms, fate };
            let pause_ms = actor.act(&mut stage);
            let part = actor.part(draft.topic);
            let comes = shop.changes.is_empty() || wire::alter(draft, &part, event, now_ms, shop);
            if let Some(actor) = actor.begins() {
                begins = Some((now_ms + random.between(FOLLOWS_MS.0, FOLLOWS_MS.1), actor));
            }
            let fraud = draft.attempt.map_or(Fraud::None, |attempt| match draft.planted {
                Some(_) => Fraud::Planted,
                None => ordinary::fraud(&attempt, &part, now_ms, settings.ordinary_fraud, shop),
            });
            if let Some(attempt) = draft.attempt.filter(|_| comes) {
                let follows = Label::of(attempt, fraud, settings.labelled, random);
                label = follows.map(|(after_ms, label)| (now_ms + after_ms, label));
            }
            if shop.foreign_model.is_some() && fraud != Fraud::Planted {
                let is_known = settings.labelled > 0.0;
                let predicted = draft.attempt.map(|attempt| Foreign::new(attempt, part, is_known, shop));
                foreign = predicted.map(|(after_ms, foreign)| (now_ms + after_ms, foreign));
            }
            let record = GeneratedRecord {
                topic: draft.topic,
                timestamp_ms: fate.arrival_ms,
                source: draft.topic.producer(wire::is_sent_otherwise(draft.topic, &part, now_ms, shop)),
                key: draft.key.to_text(),
                value: payload(draft, fate.oddity, random),
            };
            if !comes {
                // of a prediction that nobody has seen nothing becomes known
                return pause_ms.filter(|_| !matches!(actor, Actor::Foreign(_)));
            }
            let first = UnderWay {
                record,
                event_time: EventTime(fate.event_time_ms),
                oddity: fate.oddity,
                planted: draft.planted,
                ordinary_fraud: draft
                    .attempt
                    .filter(|attempt| fraud == Fraud::Ordinary || attempt.is_stolen)
                    .map(|attempt| attempt.payment),
            };
            if fate.oddity == Oddity::Duplicate {
                let copy = UnderWay { record: first.record.clone(), ..first };
                under_way.schedule(fate.arrival_ms, UnderWay { oddity: Oddity::Nothing, ..first });
                under_way.schedule(fate.arrival_ms + random.between(RETRY_MS.0, RETRY_MS.1), copy);
            } else {
                under_way.schedule(fate.arrival_ms, first);
            }
            pause_ms
        });
        if let Some((time_ms, label)) = label {
            self.actors.schedule(time_ms, Actor::Label(label));
        }
        if let Some((time_ms, foreign)) = foreign {
            self.actors.schedule(time_ms, Actor::Foreign(foreign));
        }
        if let Some((time_ms, begins)) = begins {
            self.actors.schedule(time_ms, begins);
        }
    }

    /// Counts a record that leaves.
    fn count(&mut self, arrived: &UnderWay) {
        self.accounting_mut().count(arrived.record.topic, arrived.oddity);
        while let Some(change) = self.shop.changes.get(self.changes_begun)
            && change.start_ms() <= arrived.record.timestamp_ms
        {
            self.truth.push(Truth::Change(change.truth()));
            self.changes_begun += 1;
        }
        if let Some(payment) = arrived.ordinary_fraud.filter(|_| arrived.oddity != Oddity::Duplicate) {
            let payment_id = self.shop.payment_id(payment);
            if let Some(Truth::OrdinaryFraud { payment_ids, .. }) = self.truth.get_mut(1) {
                payment_ids.push(payment_id);
            }
        }
        let Some(planted) = arrived.planted else {
            return;
        };
        let attempt =
            planted.attempt.map(|payment| (arrived.record.key.clone(), self.shop.payment_id(payment)));
        let Some(truth) = self.told(planted.pattern) else {
            return;
        };
        truth.count(arrived.event_time, attempt);
        match truth {
            Truth::CardTesting { .. } => self.accounting_mut().card_testing += 1,
            Truth::Bot { .. } => self.accounting_mut().bot += 1,
            Truth::Accounting(_) | Truth::OrdinaryFraud { .. } | Truth::Change(_) => {}
        }
    }

    /// The pattern's place in the truth; it enters with its first record.
    fn told(&mut self, pattern: usize) -> Option<&mut Truth> {
        let plan = self.plans.get_mut(pattern)?;
        if let Plan::Waiting(truth) = plan {
            self.truth.push(truth.clone());
            *plan = Plan::Told(self.truth.len() - 1);
        }
        match plan {
            Plan::Told(place) => self.truth.get_mut(*place),
            Plan::Waiting(_) => None,
        }
    }
}

impl Iterator for Generator {
    type Item = GeneratedRecord;

    fn next(&mut self) -> Option<GeneratedRecord> {
        if self.accounting().records == self.settings.events {
            return None;
        }
        loop {
            let next_arrival_ms = whole(self.next_arrival);
            let next_act_ms = self.actors.first_time_ms().unwrap_or(i64::MAX);
            // A record arrives after it happened: nothing that is yet to happen can overtake one
            // due by then.
            if self
                .under_way
                .first_time_ms()
                .is_some_and(|time_ms| time_ms <= next_act_ms.min(next_arrival_ms))
            {
                let arrived = self.under_way.take_first()?;
                self.count(&arrived);
                return Some(arrived.record);
            }
            if next_arrival_ms <= next_act_ms {
                self.admit(next_arrival_ms);
            } else {
                self.act();
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.settings.events - self.accounting().records);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

impl Actor {
    /// Whether it throws dice and counts events of its own, so that everything else is the same with and without it.
    fn is_aside(&self) -> bool {
        matches!(self, Actor::PriceList(_) | Actor::Foreign(_) | Actor::Announcement(_))
    }

    fn nature(&self) -> Nature {
        match self {
            Actor::Visit(visit) => visit.nature(),
            Actor::Till(till) => till.nature(),
            Actor::Sale(sale) => sale.nature(),
            Actor::Order(_) | Actor::Account(_) => Nature::Paying,
            // nothing happens to what a review says, nor to the catalogue: they are written with care
            Actor::CardTester(_)
            | Actor::Bot(_)
            | Actor::Label(_)
            | Actor::Merchandise(_)
            | Actor::PriceList(_)
            | Actor::Announcement(_)
            | Actor::Foreign(_) => Nature::Planted,
        }
    }

    /// Of which part of the traffic the record on `topic` is that was written last.
    fn part(&self, topic: RawTopic) -> Part {
        match self {
            Actor::Visit(visit) => visit.part(topic),
            Actor::Till(till) => till.part(),
            Actor::Order(order) => order.part(),
            Actor::Sale(sale) => sale.part(),
            Actor::Label(label) => label.part(),
            Actor::Foreign(foreign) => foreign.part(),
            Actor::CardTester(_) | Actor::Bot(_) | Actor::Account(_) => Part::ONLINE,
            Actor::Merchandise(_) | Actor::PriceList(_) | Actor::Announcement(_) => {
                Part { channel: "", ..Part::ONLINE }
            }
        }
    }

    /// What begins with the record that was written last.
    fn begins(&mut self) -> Option<Actor> {
        match self {
            Actor::Visit(visit) => visit.begins().map(|begins| match begins {
                Begins::Order(order) => Actor::Order(order),
                Begins::Account(account) => Actor::Account(account),
            }),
            Actor::Till(till) => till.sale().map(Actor::Sale),
            _ => None,
        }
    }

    fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        match self {
            Actor::Visit(visit) => visit.act(stage),
            Actor::Till(till) => till.act(stage),
            Actor::CardTester(tester) => tester.act(stage),
            Actor::Bot(bot) => bot.act(stage),
            Actor::Label(label) => {
                label.write(stage);
                None
            }
            Actor::Order(order) => order.act(stage),
            Actor::Sale(sale) => {
                sale.act(stage);
                None
            }
            Actor::Account(account) => account.act(stage),
            Actor::Merchandise(merchandise) => merchandise.act(stage),
            Actor::PriceList(list) => list.act(stage),
            Actor::Announcement(announcement) => {
                announcement.write(stage);
                None
            }
            Actor::Foreign(foreign) => foreign.act(stage),
        }
    }
}

/// The bytes of the draft, with the faults that concern the payload as a whole.
fn payload(draft: &Draft, oddity: Oddity, random: &mut Random) -> Vec<u8> {
    let whole = draft.value.as_bytes();
    match oddity {
        Oddity::Broken(Fault::Empty) => Vec::new(),
        Oddity::Broken(Fault::NotJson) => truncated(whole, random).to_vec(),
        _ => whole.to_vec(),
    }
}

/// A part of the object `whole` from its beginning: never JSON, but UTF-8.
fn truncated<'a>(whole: &'a [u8], random: &mut Random) -> &'a [u8] {
    let bytes = 1 + random.below(whole.len() as u64 - 1);
    let part = usize::try_from(bytes).ok().and_then(|bytes| whole.get(..bytes)).unwrap_or_default();
    match std::str::from_utf8(part) {
        Ok(_) => part,
        Err(cut) => part.get(..cut.valid_up_to()).unwrap_or_default(),
    }
}

/// Whole milliseconds, rounded down.
fn whole(time_ms: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; times are far from the ends")]
    let whole = time_ms.floor() as i64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Shares;

    #[test]
    fn an_average_arrival_has_the_records_that_the_rate_reckons_with() {
        for (is_whole, expected) in [(false, RECORDS_PER_ARRIVAL), (true, RECORDS_PER_ARRIVAL_WHOLE)] {
            let ordinary = GenerateSettings {
                events: 500_000,
                shares: Shares::NONE,
                events_per_pattern: 0,
                is_whole,
                ..GenerateSettings::default()
            };
            let mut generator = Generator::new(ordinary);
            generator.by_ref().for_each(drop);
            // About 100,000 arrivals, with a standard deviation of six records each.
            let measured = 500_000.0 / generator.begun.arrivals as f64;
            println!("{measured} records per arrival");
            assert!((0.985..1.015).contains(&(measured / expected)), "measured {measured}");
        }
    }

    #[test]
    #[should_panic(expected = "items must be from 1 to 1048576, not 0")]
    fn settings_out_of_range_make_no_generator() {
        let _generator = Generator::new(GenerateSettings { items: 0, ..GenerateSettings::default() });
    }

    #[test]
    fn a_truncated_payload_is_never_json_and_always_utf_8() {
        let mut random = Random::new(1);
        for whole in ["{}", r#"{"a":{"b":1}}"#, r#"{"term":"crème brûlée"}"#] {
            for _ in 0..200 {
                let part = truncated(whole.as_bytes(), &mut random);
                assert!(!part.is_empty() && part.len() < whole.len());
                assert!(std::str::from_utf8(part).is_ok());
                assert!(serde_json::from_slice::<serde_json::Value>(part).is_err());
            }
        }
    }
}
