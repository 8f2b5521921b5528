//! A shop that also tells of orders, tills, accounts and its catalogue.

use super::*;
use std::collections::BTreeMap;

/// 200,000 records of a whole shop to which nothing odd happens.
static WHOLE: LazyLock<Stream> = LazyLock::new(|| {
    let clean = GenerateSettings { shares: Shares::NONE, events_per_pattern: 0, ..settings(6, 200_000) };
    Stream::of(GenerateSettings { is_whole: true, labelled: 0.2, events_per_second: 5.0, ..clean })
});

fn of_topic(topic: RawTopic) -> impl Iterator<Item = (&'static GeneratedRecord, Value)> {
    WHOLE.parsed().filter(move |(record, _)| record.topic == topic)
}

fn text(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(str::to_owned)
}

/// The schema of a record, as a folder of `schemas`.
fn schema_of(topic: RawTopic, name: Option<&str>) -> &'static str {
    match (topic, name) {
        (RawTopic::Clickstream, _) => "clickstream",
        (RawTopic::Payments, Some("payment_attempted")) => "payment_attempted",
        (RawTopic::Payments, _) => "payment_result",
        (RawTopic::Labels, _) => "label",
        (RawTopic::Orders, _) => "order",
        (RawTopic::Pos, _) => "pos_transaction",
        (RawTopic::Accounts, _) => "account_event",
        (RawTopic::Catalogue, _) => "catalogue_item",
        (RawTopic::Predictions, _) => "prediction",
        (RawTopic::Announcements, _) => "change_announced",
    }
}

#[test]
fn every_record_of_a_whole_shop_is_valid_by_its_schema() {
    let mut validators = BTreeMap::new();
    let mut valid = BTreeMap::new();
    for (record, value) in WHOLE.parsed() {
        let schema = schema_of(record.topic, value["event_name"].as_str());
        let validator = validators.entry(schema).or_insert_with(|| {
            let file = format!("{}/schemas/{schema}/v1/schema.json", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(file).unwrap();
            jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
        });
        if let Err(fault) = validator.validate(&value) {
            panic!("{schema}: {fault} in {value}");
        }
        *valid.entry(schema).or_insert(0) += 1;
    }
    let Accounting { records, orders, pos, accounts, catalogue, .. } = WHOLE.accounting;
    assert_eq!(valid.values().sum::<u64>(), records);
    let counted = ["order", "pos_transaction", "account_event", "catalogue_item"].map(|name| valid[name]);
    assert_eq!(counted, [orders, pos, accounts, catalogue]);
    assert!(counted.iter().all(|&count| count > 150), "{counted:?}");
}

#[test]
fn records_of_a_whole_shop_carry_the_keys_of_their_topics() {
    for (record, value) in WHOLE.parsed() {
        let field = match record.topic {
            RawTopic::Clickstream => "visitor_id",
            RawTopic::Payments => "card_token",
            RawTopic::Labels => "payment_id",
            RawTopic::Orders if value.get("customer_id").is_some() => "customer_id",
            RawTopic::Orders => "visitor_id",
            RawTopic::Pos => "store_id",
            RawTopic::Accounts => "customer_id",
            RawTopic::Catalogue => "item_id",
            RawTopic::Predictions => "prediction_id",
            RawTopic::Announcements => "change_id",
        };
        assert_eq!(value[field].as_str(), Some(record.key.as_str()), "{:?}", record.topic);
    }
}

#[test]
fn every_purchase_becomes_an_order_of_its_id_value_and_payment() {
    let purchases = of_topic(RawTopic::Clickstream)
        .filter(|(_, value)| value["event_name"] == "purchase")
        .map(|(_, value)| (text(&value, "transaction_id").unwrap(), value["value_minor"].as_i64()))
        .collect::<BTreeMap<_, _>>();
    let approved = of_topic(RawTopic::Payments)
        .filter(|(_, value)| value["status"] == "approved")
        .map(|(_, value)| (text(&value, "payment_id").unwrap(), value["amount_minor"].as_i64()))
        .collect::<BTreeMap<_, _>>();
    let mut steps = BTreeMap::<String, Vec<String>>::new();
    for (_, value) in of_topic(RawTopic::Orders) {
        let order = text(&value, "order_id").unwrap();
        assert_eq!(purchases.get(&order), Some(&value["value_minor"].as_i64()), "{order}");
        assert_eq!(approved.get(&text(&value, "payment_id").unwrap()), Some(&value["value_minor"].as_i64()));
        steps.entry(order).or_default().push(text(&value, "event_name").unwrap());
    }
    // the last few are under way when the stream ends
    assert!(
        purchases.len() > 900 && steps.len() + 5 > purchases.len(),
        "{} of {}",
        steps.len(),
        purchases.len()
    );
    let whole = ["placed", "paid", "shipped", "returned", "refunded"].map(|step| format!("order_{step}"));
    let cancelled = ["placed", "paid", "cancelled", "refunded"].map(|step| format!("order_{step}"));
    for steps in steps.values() {
        assert!(whole.starts_with(steps) || cancelled.starts_with(steps), "{steps:?}");
    }
    assert!(steps.values().any(|steps| steps.len() == 4), "one is cancelled and refunded");
}

#[test]
fn a_till_rings_up_what_the_card_paid_and_voids_what_it_did_not() {
    let results = of_topic(RawTopic::Payments)
        .filter(|(_, value)| value["event_name"] == "payment_result" && value["channel"] == "store")
        .map(|(_, value)| (value["amount_minor"].as_i64().unwrap(), value["status"] == "approved"))
        .fold(BTreeMap::<_, i64>::new(), |mut seen, result| {
            *seen.entry(result).or_default() += 1;
            seen
        });
    let mut rung_up = BTreeMap::<_, i64>::new();
    let (mut numbers, mut returns, mut offline, mut loyal) = (BTreeSet::new(), 0, 0, 0);
    for (record, value) in of_topic(RawTopic::Pos) {
        let sum = |is_return: bool| -> i64 {
            let lines = value["lines"].as_array().unwrap().iter();
            let lines = lines.filter(|line| (line["is_return"] == true) == is_return);
            lines.map(|line| line["amount_minor"].as_i64().unwrap()).sum()
        };
        assert_eq!(value["tenders"][0]["amount_minor"].as_i64(), Some(sum(false)));
        assert_eq!(value["tenders"][1]["amount_minor"].as_i64().unwrap_or(0), -sum(true));
        *rung_up.entry((sum(false), value["is_void"] != true)).or_default() += 1;
        let till = (text(&value, "workstation_id"), value["sequence_number"].as_u64());
        assert!(numbers.insert(till), "a till gives no number twice");
        let delay = record.timestamp_ms - event_time(&value).unwrap();
        assert_eq!(value["is_offline"] == true, delay >= HOUR_MS, "{delay} ms");
        returns += u64::from(sum(true) > 0);
        offline += u64::from(delay >= HOUR_MS);
        loyal += u64::from(value.get("loyalty_id").is_some());
    }
    // those at the end, and those that are offline then, have not arrived
    let missing: i64 = results.iter().map(|(result, count)| count - rung_up.get(result).unwrap_or(&0)).sum();
    let rung: i64 = rung_up.values().sum();
    assert!((0..20).contains(&missing) && rung > 3_000, "{missing} are missing of {rung}");
    assert!(rung_up.keys().all(|result| results.contains_key(result)));
    assert!(
        returns > 50 && offline > 5 && loyal > 200,
        "{returns} returns, {offline} offline, {loyal} loyal"
    );
}

#[test]
fn a_login_says_which_visitor_and_loyalty_card_are_the_customers() {
    let mut names = BTreeMap::new();
    for (_, value) in of_topic(RawTopic::Accounts) {
        let name = text(&value, "event_name").unwrap();
        let person = |id: &str| id.split_once('-').map(|(_, number)| number.to_owned());
        let customer = person(value["customer_id"].as_str().unwrap());
        assert_eq!(person(value["visitor_id"].as_str().unwrap()), customer);
        assert_eq!(value.get("loyalty_id").is_some(), name == "login");
        *names.entry(name).or_insert(0) += 1;
    }
    let clicks = of_topic(RawTopic::Clickstream).filter(|(_, value)| value["event_name"] == "login").count();
    let logins = names["login"];
    assert!(logins <= clicks && logins + 3 > clicks, "{logins} logins, {clicks} clicks");
    let others = ["login_failed", "credential_changed", "address_changed"];
    assert!(others.iter().all(|name| names.contains_key(*name)), "{names:?}");
}

#[test]
fn the_whole_catalogue_is_there_as_the_shop_opens_and_is_none_of_the_traffic() {
    let settings = GenerateSettings { is_whole: true, items: 300, ..settings(6, 10) };
    let mut generator = Generator::new(settings.clone());
    let catalogue: Vec<GeneratedRecord> = generator.catalogue().collect();
    assert!(catalogue.iter().all(|record| record.timestamp_ms == settings.start.0));
    let keys: BTreeSet<&str> = catalogue.iter().map(|record| record.key.as_str()).collect();
    assert_eq!((keys.len(), generator.by_ref().count()), (300, 10));
    let last: Value = serde_json::from_slice(&catalogue[299].value).unwrap();
    assert_eq!((&last["item_id"], &last["is_active"]), (&Value::from("sku-00299"), &Value::Bool(true)));
    let clicks_alone = Generator::new(GenerateSettings { is_whole: false, ..settings });
    assert_eq!(clicks_alone.catalogue().count(), 0);
}

#[test]
fn items_go_and_come_back() {
    let mut away = BTreeSet::new();
    let (mut gone, mut back) = (0, 0);
    for (record, value) in of_topic(RawTopic::Catalogue) {
        if value["is_active"] == false || value["stock"] == 0 {
            gone += u64::from(away.insert(record.key.clone()));
        } else {
            back += u64::from(away.remove(&record.key));
        }
        assert!(away.len() <= 20);
    }
    assert!(gone > 30 && back > 10, "{gone} go, {back} come back");
}
