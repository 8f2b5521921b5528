//! Client settings, and why each is what it is.

use super::brokers::KnownBrokers;
use super::committed::TopicIds;
use super::transactions::TRANSACTION_WAIT;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DefaultProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaConfRes;
use rdkafka::{ClientConfig, ClientContext};
use std::collections::BTreeMap;
use std::time::Duration;

/// What every client of an instance is told. Its debug form shows no values of `client`: some are secret.
#[derive(Clone)]
pub struct ClientSettings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// Part of `ce_source`.
    pub application: String,
    /// The name under which this instance comes back, if it has one: its transactions are this name's.
    pub slot: Option<String>,
    /// The name of the member that the groups keep partitions for while it is away, if there is one. It is another where the
    /// topics are others: a group gives a member that comes back what it had, even of a topic that is gone since.
    pub member: Option<String>,
    /// The topics as they were found, by id: an offset that was committed for another of the same name says nothing.
    pub topic_ids: TopicIds,
    /// The user's own settings; those on which correctness rests were refused before.
    pub client: BTreeMap<String, String>,
}

impl std::fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSettings")
            .field("brokers", &self.brokers)
            .field("application", &self.application)
            .field("slot", &self.slot)
            .field("client", &self.client.keys())
            .finish()
    }
}

/// What the client library refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which setting; none if it is what several say together.
    pub key: Option<String>,
    /// Why; may quote the value.
    pub because: String,
}

/// Those of the user's own settings that the client library refuses, or does not know; if there are none, what
/// it says against all together beside ours. Asks no broker.
#[must_use]
pub fn refused_settings(client: &BTreeMap<String, String>) -> Vec<Refused> {
    let alone = client.iter().filter_map(|(key, value)| {
        let outcome = ClientConfig::new().set(key, value).create_native_config();
        outcome.err().map(|fault| Refused { key: Some(key.clone()), because: reason(fault) })
    });
    let refused: Vec<_> = alone.collect();
    if client.is_empty() || !refused.is_empty() {
        return refused;
    }
    let (brokers, application) = (String::new(), "check".to_owned());
    let settings = ClientSettings {
        brokers,
        application,
        client: client.clone(),
        slot: None,
        member: None,
        topic_ids: TopicIds::default(),
    };
    // clients without brokers: they are made and dropped, and connect to nothing
    let consumer = settings.consumer("check").remove("bootstrap.servers").create::<BaseConsumer>().err();
    let producer = || {
        let mut config = settings.producer(Linger::None);
        config.remove("bootstrap.servers").create::<ThreadedProducer<DefaultProducerContext>>().err()
    };
    let transactional = || {
        let mut config = settings.transactional_producer("check");
        config.remove("bootstrap.servers").create::<ThreadedProducer<DefaultProducerContext>>().err()
    };
    let together = consumer.or_else(producer).or_else(transactional);
    together.map(|fault| Refused { key: None, because: reason(fault) }).into_iter().collect()
}

fn reason(fault: KafkaError) -> String {
    match fault {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
            "is no setting of librdkafka".to_owned()
        }
        KafkaError::ClientConfig(_, message, ..) | KafkaError::ClientCreation(message) => {
            format!("librdkafka refuses it: {message}")
        }
        other => other.to_string(),
    }
}

/// What librdkafka itself logs: a session that timed out, an assignment that was refused. What it repeats with every attempt at a
/// broker that is away, which we say once, is for debugging.
pub(super) fn tell(facility: &str, message: &str) {
    match facility {
        "FAIL" | "ERROR" | "CONFWARN" => tracing::debug!(facility, message, "kafka client"),
        _ => tracing::warn!(facility, message, "kafka client"),
    }
}

/// The context of a client that has nothing else to keep: what the library says is logged.
#[derive(Default)]
pub(super) struct Logged {
    pub(super) brokers: KnownBrokers,
}

impl ClientContext for Logged {
    fn stats_raw(&self, statistics: &[u8]) {
        self.brokers.take(statistics);
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

/// A member that says nothing for so long is given up by its group.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a producer waits for more records before it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// Not at all: the record is a batch already, or somebody waits for it.
    None,
    /// A little: many small records make few requests.
    ForBatches,
}

impl Linger {
    fn milliseconds(self) -> &'static str {
        match self {
            Linger::None => "0",
            Linger::ForBatches => "5",
        }
    }
}

impl ClientSettings {
    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("client.id", &self.application);
        // after an outage the next attempt comes within a second, not ten
        config.set("reconnect.backoff.max.ms", "1000");
        for (key, value) in &self.client {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// For administration and look-ups.
    #[must_use]
    pub fn admin(&self) -> ClientConfig {
        self.base()
    }

    /// For a member of `group`.
    #[must_use]
    pub fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.base();
        let session_timeout = SESSION_TIMEOUT.as_millis().to_string();
        for (key, value) in [
            ("group.id", group),
            // offsets are committed by the protocol, never by a timer
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // a jump is never silent
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_committed"),
            // an untouched partition keeps flowing while others move
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", session_timeout.as_str()),
            ("heartbeat.interval.ms", "2000"),
            ("max.poll.interval.ms", "30000"),
            ("fetch.wait.max.ms", "10"),
            ("fetch.message.max.bytes", "1048576"),
            ("queued.min.messages", "20000"),
            ("queued.max.messages.kbytes", "32768"),
            // evidence of idleness: fetches completed, per partition
            ("statistics.interval.ms", "1000"),
        ] {
            config.set(key, value);
        }
        if let Some(member) = &self.member {
            // a member that comes back under its name within the session time-out gets its partitions back at once
            config.set("group.instance.id", member);
        }
        config
    }

    /// For the producer of a life that has transactions.
    #[must_use]
    pub fn transactional_producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.producer(Linger::ForBatches);
        let wait = TRANSACTION_WAIT.as_millis().to_string();
        for (key, value) in [
            ("transactional.id", transactional_id),
            // what a killed instance leaves open is aborted about when its group gives it up
            ("transaction.timeout.ms", wait.as_str()),
            // a record that waits for longer fails its transaction, and the next life publishes it again
            ("message.timeout.ms", wait.as_str()),
            // a transaction that follows another at once is refused for a moment
            ("retry.backoff.ms", "20"),
        ] {
            config.set(key, value);
        }
        config
    }

    /// For a producer of a life.
    #[must_use]
    pub fn producer(&self, linger: Linger) -> ClientConfig {
        let mut config = self.base();
        for (key, value) in [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", linger.milliseconds()),
            ("compression.type", "lz4"),
            ("batch.size", "1000000"),
            ("message.max.bytes", "8388608"),
            ("queue.buffering.max.kbytes", "131072"),
            // wait, do not give up: a frame that times out while a later one gets through leaves a gap
            ("message.timeout.ms", "0"),
            // the partition that Java clients choose
            ("partitioner", "murmur2_random"),
            // whether it has lost every broker
            ("statistics.interval.ms", "2000"),
        ] {
            config.set(key, value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The rows of the table of docs/kafka.md that begins with `| who |`: by setting, the values it may have.
    fn documented(who: &str) -> BTreeMap<String, Vec<String>> {
        let text = include_str!("../../../docs/kafka.md");
        let rows = text.lines().skip_while(|line| !line.starts_with(&format!("| {who} |"))).skip(2);
        let mut settings = BTreeMap::new();
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let names: Vec<&str> =
                cells[1].split(['·', ',']).map(|name| name.trim().trim_matches('`')).collect();
            // one value of each name, or several of one
            let values: Vec<&str> = cells[2].split(['·', ',']).map(str::trim).collect();
            for (place, name) in names.iter().enumerate() {
                let of_it = if names.len() == values.len() { vec![values[place]] } else { values.clone() };
                settings.insert((*name).to_owned(), of_it.into_iter().map(str::to_owned).collect());
            }
        }
        settings
    }

    fn agree(who: &str, made: &ClientConfig, beside: &[&str]) {
        let documented = documented(who);
        let made = made.config_map();
        for (name, values) in &documented {
            let found = made.get(name.as_str());
            let is_free = values.iter().all(|value| value.contains(' ') || value.contains('<'));
            let agrees = found.is_some_and(|found| is_free || values.iter().any(|value| value == found));
            assert!(agrees, "{who}: {name} is {found:?}, and docs/kafka.md says {values:?}");
        }
        let known: BTreeSet<&str> =
            documented.keys().map(String::as_str).chain(beside.iter().copied()).collect();
        let more: Vec<_> = made.keys().filter(|name| !known.contains(*name)).collect();
        assert!(more.is_empty(), "{who}: {more:?} is not in docs/kafka.md");
    }

    #[test]
    fn every_client_is_told_what_the_documentation_says_and_why() {
        let settings = ClientSettings {
            brokers: "b".to_owned(),
            application: "a".to_owned(),
            slot: Some("s".to_owned()),
            member: Some("m".to_owned()),
            topic_ids: TopicIds::default(),
            client: BTreeMap::new(),
        };
        let every = ["bootstrap.servers", "client.id", "reconnect.backoff.max.ms"];
        agree("every client", &settings.admin(), &every);
        agree("consumer", &settings.consumer("g"), &every);
        for linger in [Linger::None, Linger::ForBatches] {
            agree("producer", &settings.producer(linger), &every);
        }
        let of_producers = documented("producer").into_keys().collect::<Vec<_>>();
        let beside: Vec<&str> = of_producers.iter().map(String::as_str).chain(every).collect();
        agree("producer with transactions", &settings.transactional_producer("t"), &beside);
    }
}
