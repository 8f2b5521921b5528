//! Where Kafka is, and what else the client library is told.

use super::reader::Section;
use crate::fault::Fault;
use crate::log::kafka::{Refused, refused_settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Client settings that are ours alone: those that tillstream sets, others that would break what
/// `docs/kafka.md` and `docs/delivery.md` promise, and every other name that librdkafka knows them by.
const OURS: [&str; 54] = [
    "acks",
    "allow.auto.create.topics",
    "api.version.fallback.ms",
    "api.version.request",
    "auto.commit.enable",
    "auto.offset.reset",
    "batch.size",
    "bootstrap.servers",
    "broker.version.fallback",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.type",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.ssl.certificate.verification",
    "fetch.message.max.bytes",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "offset.store.method",
    "partition.assignment.strategy",
    "partitioner",
    "plugin.library.paths",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "queuing.strategy",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "request.required.acks",
    "retries",
    "session.timeout.ms",
    "ssl.endpoint.identification.algorithm",
    "statistics.interval.ms",
    "topic.blacklist",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Where Kafka is. Its debug form shows no values: some are secret.
#[derive(Clone)]
pub struct KafkaConfig {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// Further settings of the client library, those from files included.
    pub client: BTreeMap<String, String>,
    /// The files that settings were read from.
    pub client_files: BTreeMap<String, PathBuf>,
}

impl std::fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("client", &self.client.keys())
            .field("client_files", &self.client_files)
            .finish()
    }
}

/// Paths of files are relative to `folder`. Settings are tried on the client library; no broker is asked.
pub(super) fn kafka(mut section: Section<'_>, folder: &Path, faults: &mut Vec<Fault>) -> KafkaConfig {
    let brokers = section.text("brokers", "127.0.0.1:9092", faults);
    if brokers.trim().is_empty() {
        faults.push(Fault::new(section.path("brokers"), "must name a broker, such as kafka-1:9092"));
    }
    let mut client = section.texts("client", faults);
    let files = section.texts("client_files", faults);
    let files: BTreeMap<_, _> = files.into_iter().map(|(key, file)| (key, folder.join(file))).collect();
    for (name, keys) in
        [("client", client.keys().collect::<Vec<_>>()), ("client_files", files.keys().collect())]
    {
        let ours = keys.into_iter().filter(|key| OURS.contains(&key.as_str()));
        faults.extend(ours.map(|key| {
            let path = section.path(&format!("{name}.{key}"));
            Fault::new(path, "is set by tillstream: correctness rests on it")
        }));
    }
    let mut secrets = Vec::new();
    for (key, file) in &files {
        let path = section.path(&format!("client_files.{key}"));
        match read_value(file) {
            Err(message) => faults.push(Fault::new(path, message)),
            Ok(_) if client.contains_key(key) => {
                faults.push(Fault::new(path, "stands in kafka.client as well"));
            }
            Ok(value) => {
                client.insert(key.clone(), value.clone());
                secrets.push(value);
            }
        }
    }
    client.retain(|key, _| !OURS.contains(&key.as_str()));
    for Refused { key, because } in refused_settings(&client) {
        // the library may quote what it refuses, and what stands in files is secret
        let because = secrets.iter().fold(because, |text, secret| text.replace(secret.as_str(), "…"));
        let path = match key {
            None => section.path("client"),
            Some(key) if files.contains_key(&key) => section.path(&format!("client_files.{key}")),
            Some(key) => section.path(&format!("client.{key}")),
        };
        faults.push(Fault::new(path, because));
    }
    section.finish(faults);
    KafkaConfig { brokers, client, client_files: files }
}

/// The content of a file, without the white space around it.
fn read_value(file: &Path) -> Result<String, String> {
    let content = std::fs::read_to_string(file)
        .map_err(|fault| format!("{} cannot be read: {fault}", file.display()))?;
    let value = content.trim();
    if value.is_empty() { Err(format!("{} is empty", file.display())) } else { Ok(value.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::kafka::{ClientSettings, Linger, TopicIds};

    /// What `text` becomes, and its faults.
    fn read(text: &str, folder: &Path) -> (KafkaConfig, Vec<String>) {
        let tree: serde_json::Value = serde_saphyr::from_str(text).expect("YAML");
        let mut faults = Vec::new();
        let section = Section::element("kafka".to_owned(), &tree, &mut faults);
        let config = kafka(section, folder, &mut faults);
        (config, faults.iter().map(Fault::to_string).collect())
    }

    fn faults(text: &str) -> Vec<String> {
        read(text, Path::new(".")).1
    }

    #[test]
    fn settings_that_the_client_library_does_not_take_are_faults_before_any_broker_is_asked() {
        let found =
            faults("client: {sokcet.timeout.ms: 10, socket.timeout.ms: soon, debug: [all], error_cb: 1}");
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found[0], "kafka.client.debug: must be a text");
        assert!(found[1].starts_with("kafka.client.error_cb: librdkafka refuses it: "), "{found:?}");
        assert!(found[2].starts_with("kafka.client.socket.timeout.ms: librdkafka refuses it: "), "{found:?}");
        assert_eq!(found[3], "kafka.client.sokcet.timeout.ms: is no setting of librdkafka");
        let found = faults("client: {max.in.flight: 6}");
        assert!(
            found.len() == 1 && found[0].starts_with("kafka.client: librdkafka refuses it: "),
            "{found:?}"
        );
        assert_eq!(faults("client: {max.in.flight: 5, socket.keepalive.enable: true}"), [""; 0]);
    }

    #[test]
    fn what_tillstream_sets_cannot_be_set_by_the_user() {
        let (brokers, application) = ("b".to_owned(), "a".to_owned());
        let settings = ClientSettings {
            brokers,
            application,
            client: BTreeMap::new(),
            slot: Some("s".to_owned()),
            member: Some("m".to_owned()),
            topic_ids: TopicIds::default(),
        };
        let (consumer, producer) = (settings.consumer("g"), settings.producer(Linger::None));
        let made = consumer.config_map().into_keys().chain(producer.config_map().into_keys());
        assert_eq!(made.filter(|key| !OURS.contains(key)).collect::<Vec<_>>(), [""; 0]);
        // another name of `retries`; one that keeps acknowledgements back; one that hides topics
        for key in ["message.send.max.retries", "delivery.report.only.error", "topic.blacklist"] {
            let expected = format!("kafka.client.{key}: is set by tillstream: correctness rests on it");
            assert_eq!(faults(&format!("client: {{{key}: 1}}")), [expected]);
        }
    }

    #[test]
    fn secrets_are_read_from_files_beside_the_configuration_and_shown_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("password"), "  hush-hush\n").expect("writable");
        std::fs::write(folder.path().join("empty"), "\n").expect("writable");
        let (config, found) = read("client_files: {sasl.password: password}", folder.path());
        assert_eq!((found, config.client["sasl.password"].as_str()), (vec![], "hush-hush"));
        assert!(!format!("{config:?}").contains("hush"));
        let text = "{client: {sasl.username: u}, client_files: {sasl.username: password, acks: password, \
                    sasl.password: empty, ssl.key.password: gone, debug: password}}";
        let found = read(text, folder.path()).1;
        assert_eq!(found.len(), 5, "{found:?}");
        for (fault, start) in found.iter().zip([
            "kafka.client_files.acks: is set by tillstream",
            "kafka.client_files.sasl.password: ",
            "kafka.client_files.sasl.username: stands in kafka.client as well",
            "kafka.client_files.ssl.key.password: ",
            "kafka.client_files.debug: librdkafka refuses it: ",
        ]) {
            assert!(fault.starts_with(start) && !fault.contains("hush"), "{found:?}");
        }
    }

    #[test]
    fn brokers_must_be_named() {
        assert_eq!(faults("brokers: ''"), ["kafka.brokers: must name a broker, such as kafka-1:9092"]);
        assert_eq!(faults("brokers: kafka-1"), [""; 0]);
    }
}
