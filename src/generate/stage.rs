//! What an actor has at hand when it acts, and the beginning that all payloads have in common.

use super::RawTopic;
use super::catalogue::{Catalogue, Currency};
use super::change::{Changes, Planted};
use super::json::Json;
use super::oddity::{Fate, Fault, Oddity};
use super::person::{Person, somebody};
use super::random::{Random, mix, pick};
use super::settings::GenerateSettings;

/// What is the same at all times.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) catalogue: Catalogue,
    pub(super) people: u64,
    /// Whether there are orders, transactions of tills, logins and changes of the catalogue.
    pub(super) is_whole: bool,
    /// What changes in the course of the traffic.
    pub(super) changes: Changes,
    /// The name of somebody else's model, if there is one.
    pub(super) foreign_model: Option<String>,
    /// The seed, scattered: ids of neighbouring seeds have nothing in common.
    scattered_seed: u64,
}

impl Shop {
    pub(super) fn new(settings: &GenerateSettings) -> Shop {
        let scattered_seed = mix(!settings.seed);
        let GenerateSettings { visitors: people, is_whole, items, .. } = *settings;
        let changes = Changes::new(&settings.changes, settings.start);
        Shop {
            catalogue: Catalogue::new(scattered_seed, items),
            people,
            is_whole,
            changes,
            foreign_model: settings.foreign_model.clone(),
            scattered_seed,
        }
    }

    /// Dice that say whether the payment of that number is fraud.
    pub(super) fn fraud_dice(&self, payment: u64) -> Random {
        Random::new(mix(self.scattered_seed.rotate_left(16)).wrapping_add(mix(payment)))
    }

    /// Dice of the prediction about the payment of that number.
    pub(super) fn foreign_dice(&self, payment: u64) -> Random {
        Random::new(mix(self.scattered_seed.rotate_left(24)).wrapping_add(mix(payment)))
    }

    /// 64 bits that no other prediction has.
    pub(super) fn prediction_bits(&self, payment: u64) -> u64 {
        mix(self.scattered_seed.rotate_left(40) ^ payment)
    }

    /// Dice of a change for the payment or event of that number.
    pub(super) fn dice_of(&self, planted: &Planted, number: u64) -> Random {
        planted.dice(number, self.scattered_seed)
    }

    /// Somebody who comes to the shop now.
    pub(super) fn somebody(&self, random: &mut Random) -> Person {
        Person::new(somebody(self.people, random), self.people, self.scattered_seed)
    }

    /// The id of the payment with that number.
    pub(super) fn payment_id(&self, payment: u64) -> String {
        format!("pay_{:016x}", self.payment_bits(payment))
    }

    /// 64 bits that no other payment has.
    fn payment_bits(&self, payment: u64) -> u64 {
        mix(self.scattered_seed.wrapping_sub(payment))
    }

    /// 64 bits that no other event has.
    fn event_bits(&self, event: u64) -> u64 {
        mix(self.scattered_seed.wrapping_add(event))
    }

    /// 64 bits that no other card has.
    fn card_bits(&self, card: u64) -> u64 {
        mix(self.scattered_seed.rotate_left(32) ^ card)
    }
}

/// A record being written; the buffers are used again for the next one.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) topic: RawTopic,
    pub(super) key: Json,
    pub(super) value: Json,
    pub(super) planted: Option<PlantedRecord>,
    /// The payment that the record attempts.
    pub(super) attempt: Option<Attempt>,
}

/// A payment that was attempted: what a label will say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) payment: u64,
    pub(super) card: u64,
    pub(super) amount_minor: i64,
    pub(super) currency: Currency,
    /// Store and terminal of a payment at a till.
    pub(super) till: Option<(u64, u64)>,
    /// Whether the card is stolen, as far as that was planted at a till.
    pub(super) is_stolen: bool,
}

/// A record that belongs to a planted pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlantedRecord {
    /// The place of the pattern's plan.
    pub(super) pattern: usize,
    /// The payment's number, if the record is an attempt.
    pub(super) attempt: Option<u64>,
}

impl Draft {
    pub(super) fn new() -> Draft {
        Draft {
            topic: RawTopic::Clickstream,
            key: Json::default(),
            value: Json::default(),
            planted: None,
            attempt: None,
        }
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.key.clear();
        self.value.clear();
        self.planted = None;
        self.attempt = None;
    }
}

/// What an actor has at hand to write one record.
pub(super) struct Stage<'a> {
    pub(super) shop: &'a Shop,
    pub(super) random: &'a mut Random,
    pub(super) draft: &'a mut Draft,
    /// Payments begun so far; the next one's number.
    pub(super) payments: &'a mut u64,
    /// The number of this event.
    pub(super) event: u64,
    /// When the event happens, in milliseconds since the epoch.
    pub(super) now_ms: i64,
    /// When its record says that it happens, and what is odd about it.
    pub(super) fate: Fate,
}

/// Event names that the contract does not know.
const UNKNOWN_NAMES: [&str; 6] =
    ["scroll", "video_start", "newsletter_open", "size_guide_open", "ar_preview", "file_download"];

/// Fields that the contract does not know.
const UNKNOWN_FIELDS: [&str; 3] = [
    ",\"app_version\":\"7.4.1\"",
    ",\"experiment\":{\"id\":\"checkout-b\",\"arm\":2}",
    ",\"scroll_depth\":[0.25,0.5,null]",
];

impl Stage<'_> {
    /// Begins a click of the visitor `visitor`, up to its `visitor_id`.
    pub(super) fn open_click(&mut self, name: &str, visitor: u64) -> &mut Json {
        self.draft.key.raw("v-").padded(visitor, 6);
        let bits = self.shop.event_bits(self.event);
        let name = if self.fate.oddity == Oddity::UnknownName { pick(&UNKNOWN_NAMES, bits) } else { name };
        self.open_on(RawTopic::Clickstream, name).raw(",\"visitor_id\":\"v-").padded(visitor, 6).raw("\"")
    }

    /// Begins a payment event of the card `card`, up to its `payment_id` and `card_token`.
    pub(super) fn open_payment(&mut self, name: &str, payment: u64, card: u64) -> &mut Json {
        self.draft.key.raw("tok_").hex(self.shop.card_bits(card));
        self.open_on(RawTopic::Payments, name);
        self.paid_with(payment, card)
    }

    /// Begins a label of the payment `payment`, up to its outcome.
    pub(super) fn open_label(&mut self, payment: u64, card: u64) -> &mut Json {
        self.draft.topic = RawTopic::Labels;
        self.draft.key.raw("pay_").hex(self.shop.payment_bits(payment));
        let value = &mut self.draft.value;
        value.raw("{\"event_name\":\"label\",\"event_id\":\"e-").hex(self.shop.event_bits(self.event));
        value.raw("\",\"known_at_ms\":").number(self.fate.event_time_ms);
        self.paid_with(payment, card).raw(",\"source\":\"review\",\"outcome\":\"")
    }

    /// Begins an event on `topic`, up to its time; what its record is keyed by is for the caller to say.
    pub(super) fn open_on(&mut self, topic: RawTopic, name: &str) -> &mut Json {
        self.draft.topic = topic;
        self.open(name);
        &mut self.draft.value
    }

    /// Begins an event on `topic`, up to its id: its time, and what its record is keyed by, are for the caller to say.
    pub(super) fn open_plainly(&mut self, topic: RawTopic, name: &str) -> &mut Json {
        self.draft.topic = topic;
        let bits = self.shop.event_bits(self.event);
        let value = &mut self.draft.value;
        value.raw("{\"event_name\":\"").raw(name).raw("\",\"event_id\":\"e-").hex(bits).raw("\"")
    }

    /// Begins a state of the catalogue's item `item_id`, up to its time.
    pub(super) fn open_item(&mut self, item_id: &str) -> &mut Json {
        self.draft.topic = RawTopic::Catalogue;
        self.draft.key.raw(item_id);
        self.draft.value.raw("{\"event_time_ms\":").number(self.fate.event_time_ms)
    }

    /// Appends the payment `payment` and its card.
    pub(super) fn paid_with(&mut self, payment: u64, card: u64) -> &mut Json {
        let bits = self.shop.payment_bits(payment);
        self.draft.value.raw(",\"payment_id\":\"pay_").hex(bits).raw("\"");
        self.card(card)
    }

    /// Appends the token of the card `card`.
    pub(super) fn card(&mut self, card: u64) -> &mut Json {
        let bits = self.shop.card_bits(card);
        self.draft.value.raw(",\"card_token\":\"tok_").hex(bits).raw("\"")
    }

    /// The number of a new payment.
    pub(super) fn next_payment(&mut self) -> u64 {
        *self.payments += 1;
        *self.payments
    }

    /// Begins an event: its id, name and time, with the faults that concern them.
    fn open(&mut self, name: &str) {
        let bits = self.shop.event_bits(self.event);
        let time = self.fate.event_time_ms;
        let of_time = bits & 1 == 0;
        let (fault_of_id, fault_of_time) = match self.fate.oddity {
            Oddity::Broken(fault) if of_time => (None, Some(fault)),
            Oddity::Broken(fault) => (Some(fault), None),
            _ => (None, None),
        };
        let json = &mut self.draft.value;
        json.raw("{\"event_name\":\"").raw(name).raw("\"");
        match fault_of_id {
            Some(Fault::MissingField) => json.raw(""),
            Some(Fault::WrongType) => json.raw(",\"event_id\":").padded(bits, 1),
            _ => json.raw(",\"event_id\":\"e-").hex(bits).raw("\""),
        };
        match fault_of_time {
            Some(Fault::MissingField) => json.raw(""),
            Some(Fault::WrongType) => json.raw(",\"event_time_ms\":\"").number(time).raw("\""),
            _ => json.raw(",\"event_time_ms\":").number(time),
        };
        if self.fate.oddity == Oddity::UnknownField {
            json.raw(pick(&UNKNOWN_FIELDS, bits));
        }
    }
}

impl Json {
    /// Appends whose event it is: customer (if signed in), device and ip.
    pub(super) fn whose(&mut self, person: &Person, device: u64, signed_in: bool) -> &mut Json {
        if signed_in {
            self.raw(",\"customer_id\":\"c-").padded(person.number, 6).raw("\"");
        }
        self.device(person.number, device, &person.ip)
    }

    /// Appends the device and the ip.
    pub(super) fn device(&mut self, person: u64, device: u64, ip: &str) -> &mut Json {
        self.raw(",\"device_id\":\"d-").padded(person, 6).raw("-").padded(device, 1);
        self.raw("\",\"ip\":\"").raw(ip).raw("\"")
    }
}
