//! A visit: one person's way through the shop, click by click, now and then to a payment.

use super::account::Account;
use super::catalogue::{Line, Tariff};
use super::change::{ChangeKind, Part};
use super::funnel::{Situation, Step};
use super::json::Json;
use super::oddity::Nature;
use super::order::Order;
use super::payment::{Outcome, Payment};
use super::person::Person;
use super::random::Random;
use super::record::RawTopic;
use super::stage::{Shop, Stage};
use crate::event::business::RECOMMENDED_LIST;

/// Where visits come from: the referrer (empty: none) and the campaign as JSON (empty: none), with
/// their weights in a thousand.
const SOURCES: [((&str, &str), u64); 8] = [
    (("", ""), 380),
    (("https://www.google.example/", ""), 270),
    (
        (
            "https://www.google.example/",
            r#"{"source":"google","medium":"cpc","name":"brand-search","term":"shop"}"#,
        ),
        110,
    ),
    (("https://www.google.example/", r#"{"source":"google","medium":"cpc","name":"shopping-feed"}"#), 70),
    (("", r#"{"source":"newsletter","medium":"email","name":"weekly","content":"hero"}"#), 60),
    (("", r#"{"source":"instagram","medium":"paid_social","name":"always-on"}"#), 50),
    (("https://prices.example/", r#"{"source":"prices","medium":"affiliate","name":"cpa"}"#), 40),
    (("https://blog.example/gifts", ""), 20),
];

const PAGES: [&str; 6] = ["account", "stores", "help/delivery", "help/returns", "sale", "magazine/ideas"];

/// Online payments that are approved, in a thousand.
const APPROVED_PER_MILLE: u64 = 905;

/// Attempts to pay before the visitor gives up.
const ATTEMPTS_MAX: u32 = 3;

/// One in so many lists is of what is recommended.
const LISTS_PER_RECOMMENDED: u64 = 4;

/// Lines in a cart; what is added to a full one adds to its last line.
const CART_LINES_MAX: usize = 8;

/// Somebody in the shop.
#[derive(Debug)]
pub(super) struct Visit {
    number: u64,
    person: Person,
    device: u64,
    signed_in: bool,
    /// Prices stay for this visitor what they were at first.
    tariff: Tariff,
    step: Step,
    /// The item looked at last; its category is what the visitor is interested in.
    item: usize,
    /// The page of the list that is looked at next.
    page: i64,
    /// Whether the list looked at last is of what is recommended.
    is_recommended: bool,
    /// Decides the term searched for last.
    term: u64,
    cart: Vec<Line>,
    payment: Option<Payment>,
    attempts: u32,
    /// What begins with the record that was written last.
    begins: Option<Begins>,
}

/// What begins elsewhere on the way through the shop.
#[derive(Debug)]
pub(super) enum Begins {
    Order(Order),
    Account(Account),
}

impl Visit {
    /// A visit that begins at `now_ms`; `number` is its own.
    pub(super) fn new(shop: &Shop, number: u64, now_ms: i64, random: &mut Random) -> Visit {
        let person = shop.somebody(random);
        Visit {
            number,
            device: 1 + random.below(person.devices),
            signed_in: person.is_customer && random.per_mille(600),
            tariff: Tariff { currency: person.currency, level: shop.changes.price_level(now_ms) },
            step: Step::Land,
            item: shop.catalogue.popular(random).number,
            page: 1,
            is_recommended: false,
            term: 0,
            cart: Vec::new(),
            payment: None,
            attempts: 0,
            begins: None,
            person,
        }
    }

    pub(super) fn nature(&self) -> Nature {
        self.step.nature()
    }

    /// Of which part of the traffic the record on `topic` is that was written last.
    pub(super) fn part(&self, topic: RawTopic) -> Part {
        let payment = self.payment.as_ref().filter(|_| topic == RawTopic::Payments);
        Part {
            country: Some(self.person.country),
            payment: payment.map(|payment| payment.number),
            ..Part::ONLINE
        }
    }

    /// What began with the record that was written last, if anything did.
    pub(super) fn begins(&mut self) -> Option<Begins> {
        self.begins.take()
    }

    /// Writes the record of this step. Returns after how many milliseconds the next step follows,
    /// if any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        let outcome = self.write(stage);
        let situation = Situation {
            cart_is_empty: self.cart.is_empty(),
            may_sign_in: self.person.is_customer && !self.signed_in,
            is_approved: outcome.is_some_and(Outcome::is_approved),
            may_try_again: self.attempts < ATTEMPTS_MAX,
        };
        let next = stage.random.weighted(self.step.choices(situation));
        self.step = if self.is_put_off(next, stage) { Step::Leave } else { next };
        (self.step != Step::Leave).then(|| self.step.pause_before_ms(stage.random))
    }

    /// Whether somebody on the way to the checkout leaves instead.
    fn is_put_off(&self, next: Step, stage: &Stage<'_>) -> bool {
        let (shop, part) = (stage.shop, self.part(RawTopic::Clickstream));
        let mut changes = shop.changes.of_kind(ChangeKind::Intent, stage.now_ms);
        next == Step::BeginCheckout
            && changes.any(|planted| {
                planted.concerns(&part) && shop.dice_of(planted, stage.event).share(planted.change.strength())
            })
    }

    /// Writes the record of this step. Returns how the payment ended, if it did.
    fn write(&mut self, stage: &mut Stage<'_>) -> Option<Outcome> {
        match self.step {
            Step::Land => self.land(stage),
            Step::ReadPage => self.page("page_view", stage.random.pick(&PAGES), stage),
            Step::ViewPromotion => self.page("view_promotion", "", stage),
            Step::SelectPromotion => self.page("select_promotion", "sale", stage),
            Step::ViewList => self.view_list(stage),
            Step::SelectItem => {
                self.choose_item(stage);
                self.one_item("select_item", stage);
                self.is_recommended = false;
            }
            Step::ViewItem => {
                self.is_recommended = false;
                self.choose_item(stage);
                self.one_item("view_item", stage);
            }
            Step::ViewSelected => self.one_item("view_item", stage),
            Step::Search => {
                self.term = stage.random.bits();
                self.search("search", stage);
            }
            Step::ViewResults => self.search("view_search_results", stage),
            Step::AddToWishlist => self.one_item("add_to_wishlist", stage),
            Step::AddToCart => self.add_to_cart(stage),
            Step::ViewCart => self.lines("view_cart", "cart", &self.cart, stage),
            Step::RemoveFromCart => {
                let removed = self.cart.pop();
                self.lines("remove_from_cart", "cart", removed.as_slice(), stage);
            }
            Step::BeginCheckout => self.begin_checkout(stage),
            Step::Login => self.login(stage),
            Step::AddShipping => self.lines("add_shipping_info", "checkout/shipping", &self.cart, stage),
            Step::AddPayment => self.lines("add_payment_info", "checkout/payment", &self.cart, stage),
            Step::Attempt => self.attempt(stage),
            Step::Result => return self.result(stage),
            Step::Purchase => self.purchase(stage),
            Step::Leave => {}
        }
        None
    }

    /// Begins a click, up to the address of its page; the caller may continue it and closes its
    /// quote.
    fn open<'a>(&self, name: &str, path: &str, stage: &'a mut Stage<'_>) -> &'a mut Json {
        let json = stage.open_click(name, self.person.number);
        json.whose(&self.person, self.device, self.signed_in);
        json.raw(",\"session_hint\":\"s-").padded(self.number, 8);
        json.raw("\",\"page_location\":\"https://shop.example/").raw(path)
    }

    fn page(&self, name: &str, path: &str, stage: &mut Stage<'_>) {
        self.open(name, path, stage).raw("\"}");
    }

    fn land(&self, stage: &mut Stage<'_>) {
        let (referrer, campaign) = stage.random.weighted(&SOURCES);
        let ads = if self.person.consents_to_ads { "true" } else { "false" };
        let json = self.open("page_view", "", stage);
        json.raw("\",\"page_title\":\"Welcome\"");
        if !referrer.is_empty() {
            json.raw(",\"page_referrer\":\"").raw(referrer).raw("\"");
        }
        if !campaign.is_empty() {
            json.raw(",\"campaign\":").raw(campaign);
        }
        json.raw(",\"consent\":{\"analytics\":true,\"ads\":").raw(ads);
        json.raw(",\"personalization\":").raw(ads).raw("}}");
    }

    fn view_list(&mut self, stage: &mut Stage<'_>) {
        let shop = stage.shop;
        let interest = shop.catalogue.item(self.item);
        let shown = [(); 3].map(|()| shop.catalogue.popular_beside(interest, stage.random));
        self.is_recommended = (self.number + self.page.unsigned_abs()).is_multiple_of(LISTS_PER_RECOMMENDED);
        let json = self.open("view_item_list", "c/", stage);
        json.raw(shop.catalogue.slug(interest.category))
            .raw("?page=")
            .number(self.page)
            .raw("\",\"items\":[");
        for (index, item) in (0..).zip(shown) {
            json.raw(if index == 0 { "{" } else { ",{" }).raw(&item.named);
            self.list(json).raw(",\"index\":").number(index).raw("}");
        }
        json.raw("]}");
        self.page += 1;
    }

    /// Which list an item stands in, if it is that of what is recommended.
    fn list<'a>(&self, json: &'a mut Json) -> &'a mut Json {
        if !self.is_recommended {
            return json;
        }
        json.raw(",\"item_list_id\":\"").raw(RECOMMENDED_LIST).raw("\"")
    }

    /// Turns to another item: mostly one of the same category, else any.
    fn choose_item(&mut self, stage: &mut Stage<'_>) {
        let catalogue = &stage.shop.catalogue;
        let chosen = if stage.random.per_mille(700) {
            catalogue.popular_beside(catalogue.item(self.item), stage.random)
        } else {
            catalogue.popular(stage.random)
        };
        self.item = chosen.number;
    }

    fn one_item(&self, name: &str, stage: &mut Stage<'_>) {
        let item = stage.shop.catalogue.item(self.item);
        let json = self.open(name, "p/", stage).raw(&item.sku).raw("\"");
        self.currency(json).raw(",\"items\":[{").raw(&item.described);
        self.list(json).raw(",\"price_minor\":").number(item.price_minor(self.tariff)).raw("}]}");
    }

    fn search(&self, name: &str, stage: &mut Stage<'_>) {
        let catalogue = &stage.shop.catalogue;
        let term = catalogue.term(catalogue.item(self.item).category, self.term);
        let json = self.open(name, "search?q=", stage);
        json.raw(&term.query).raw("\",\"search_term\":").text(&term.text).raw("}");
    }

    fn add_to_cart(&mut self, stage: &mut Stage<'_>) {
        let quantity = if stage.random.per_mille(850) { 1 } else { stage.random.between(2, 5) };
        let added = Line { item: self.item, quantity };
        self.lines("add_to_cart", "cart", &[added], stage);
        if self.cart.len() < CART_LINES_MAX {
            self.cart.push(added);
        } else if let Some(last) = self.cart.last_mut() {
            last.quantity += quantity;
        }
    }

    /// Writes a click that concerns `lines`.
    fn lines(&self, name: &str, path: &str, lines: &[Line], stage: &mut Stage<'_>) {
        let shop = stage.shop;
        let json = self.open(name, path, stage).raw("\"");
        self.close_with_lines(lines, shop, json);
    }

    fn close_with_lines(&self, lines: &[Line], shop: &Shop, json: &mut Json) {
        let json = self.currency(json);
        shop.catalogue.write_lines(lines, self.tariff, |item| &item.named, json);
        json.raw("}");
    }

    fn currency<'a>(&self, json: &'a mut Json) -> &'a mut Json {
        json.raw(",\"currency\":\"").raw(self.tariff.currency.code()).raw("\"")
    }

    fn attempt(&mut self, stage: &mut Stage<'_>) {
        let payment = Payment {
            number: stage.next_payment(),
            // The second attempt is made with the other card, if there is one.
            card: self.person.card(self.number + u64::from(self.attempts)),
            amount_minor: self.value_minor(stage.shop),
            tariff: self.tariff,
        };
        let ships_abroad = stage.random.per_mille(20);
        let country = self.person.country;
        let json = payment.open_attempt(stage);
        self.visitor(json).raw(",\"channel\":\"online\",\"card_country\":\"").raw(country);
        json.raw("\",\"ip_country\":\"").raw(country).raw("\",\"billing_country\":\"").raw(country);
        json.raw("\",\"shipping_country\":\"").raw(if ships_abroad { "BE" } else { country }).raw("\"}");
        self.payment = Some(payment);
        self.attempts += 1;
    }

    fn result(&mut self, stage: &mut Stage<'_>) -> Option<Outcome> {
        let outcome = Outcome::draw(APPROVED_PER_MILLE, stage.random);
        self.visitor(self.payment?.open_result(outcome, stage)).raw("}");
        Some(outcome)
    }

    fn begin_checkout(&mut self, stage: &mut Stage<'_>) {
        self.lines("begin_checkout", "checkout", &self.cart, stage);
        if stage.shop.is_whole && self.person.is_customer && !self.signed_in {
            let failing = Account::failing(&self.person, self.device, stage.random);
            self.begins = failing.map(Begins::Account);
        }
    }

    fn login(&mut self, stage: &mut Stage<'_>) {
        self.signed_in = true;
        self.page("login", "checkout/login", stage);
        if stage.shop.is_whole {
            self.begins = Some(Begins::Account(Account::login(&self.person, self.device)));
        }
    }

    /// Writes the purchase that the approved payment pays for. The cart is empty then: what follows in this visit is another one.
    fn purchase(&mut self, stage: &mut Stage<'_>) {
        let shop = stage.shop;
        let Some(payment) = self.payment.take() else {
            return;
        };
        let has_coupon = stage.random.per_mille(80);
        let json = self.open("purchase", "checkout/thanks", stage);
        json.raw("\",\"transaction_id\":\"t-").padded(payment.number, 8);
        json.raw("\",\"value_minor\":").number(payment.amount_minor);
        if has_coupon {
            json.raw(",\"coupon\":\"WELCOME\"");
        }
        self.close_with_lines(&self.cart, shop, json);
        let lines = std::mem::take(&mut self.cart);
        self.attempts = 0;
        if shop.is_whole {
            let order = Order::new(self.person.clone(), self.signed_in, payment, lines);
            self.begins = Some(Begins::Order(order));
        }
    }

    /// Appends who pays.
    fn visitor<'a>(&self, json: &'a mut Json) -> &'a mut Json {
        json.raw(",\"visitor_id\":\"v-").padded(self.person.number, 6).raw("\"");
        json.whose(&self.person, self.device, self.signed_in)
    }

    /// What is in the cart costs, in minor units of the person's currency.
    fn value_minor(&self, shop: &Shop) -> i64 {
        let price = |line: &Line| shop.catalogue.item(line.item).price_minor(self.tariff);
        self.cart.iter().map(|line| price(line) * line.quantity).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visit_comes_from_somewhere() {
        assert_eq!(SOURCES.iter().map(|(_, weight)| weight).sum::<u64>(), 1_000);
        for ((_, campaign), _) in SOURCES {
            let parsed = serde_json::from_str::<serde_json::Value>(campaign);
            assert!(campaign.is_empty() || parsed.is_ok_and(|campaign| campaign.is_object()));
        }
    }
}
