//! Looking topics up on the broker, and making them.

use super::client::ClientSettings;
use super::raw;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use std::collections::BTreeMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// A topic as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerTopic {
    /// Kafka's UUID.
    pub id: u128,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas the first partition has.
    pub replication: u32,
    /// Its settings, defaults included.
    pub config: BTreeMap<String, String>,
}

/// Why an administrative call failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The client library or the broker reported it.
    #[error("{doing}: {source}")]
    Kafka {
        /// What was being done.
        doing: &'static str,
        /// What was reported.
        source: KafkaError,
    },
    /// The broker refused, or did not answer.
    #[error("{doing}: {message}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What was reported.
        message: String,
    },
}

/// A client for administration.
pub struct Admin {
    admin: AdminClient<DefaultClientContext>,
    lookup: BaseConsumer,
}

fn doing(doing: &'static str) -> impl FnOnce(KafkaError) -> AdminError {
    move |source| AdminError::Kafka { doing, source }
}

impl Admin {
    /// Connects lazily.
    ///
    /// # Errors
    ///
    /// [`AdminError`] if the client library refuses the settings.
    pub fn new(settings: &ClientSettings) -> Result<Admin, AdminError> {
        let config = settings.admin();
        Ok(Admin {
            admin: config.create().map_err(doing("making an admin client"))?,
            lookup: config.create().map_err(doing("making a client for look-ups"))?,
        })
    }

    /// Those of `names` that exist, by name.
    ///
    /// # Errors
    ///
    /// [`AdminError`] if the broker does not answer.
    pub async fn topics(&self, names: &[&str]) -> Result<BTreeMap<String, BrokerTopic>, AdminError> {
        let mut topics = self.topic_sizes(names)?;
        let existing: Vec<String> = topics.keys().cloned().collect();
        let existing: Vec<&str> = existing.iter().map(String::as_str).collect();
        for (name, config) in self.topic_configs(&existing).await? {
            topics.entry(name.to_owned()).and_modify(|topic| topic.config = config);
        }
        Ok(topics)
    }

    /// The settings of topics that exist, defaults included, by name.
    ///
    /// # Errors
    ///
    /// [`AdminError`] if the broker does not answer, or does not tell.
    pub async fn topic_configs<'n>(
        &self,
        names: &[&'n str],
    ) -> Result<BTreeMap<&'n str, BTreeMap<String, String>>, AdminError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let described = self.admin.describe_configs(resources.iter(), &AdminOptions::new()).await;
        let mut configs = BTreeMap::new();
        for (name, config) in names.iter().zip(described.map_err(doing("describing topics"))?) {
            let config = config.map_err(|code| AdminError::Refused {
                doing: "describing a topic",
                message: code.to_string(),
            })?;
            let entries = config.entries.into_iter();
            configs
                .insert(*name, entries.map(|entry| (entry.name, entry.value.unwrap_or_default())).collect());
        }
        Ok(configs)
    }

    /// As [`Admin::topics`], without their settings.
    ///
    /// # Errors
    ///
    /// As [`Admin::topics`].
    pub fn topic_sizes(&self, names: &[&str]) -> Result<BTreeMap<String, BrokerTopic>, AdminError> {
        let ids = raw::topic_ids(&self.lookup, names, PATIENCE)
            .map_err(|message| AdminError::Refused { doing: "looking up topics", message })?;
        let mut topics = BTreeMap::new();
        for (name, id) in ids {
            let metadata = self
                .lookup
                .fetch_metadata(Some(&name), PATIENCE)
                .map_err(doing("looking up a topic's partitions"))?;
            // a broker that has just started may know the id and not yet the partitions
            let is_known = |topic: &&MetadataTopic| {
                topic.name() == name && topic.error().is_none() && !topic.partitions().is_empty()
            };
            for topic in metadata.topics().iter().filter(is_known) {
                let partitions = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
                let replicas = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
                let replication = u32::try_from(replicas).unwrap_or(u32::MAX);
                topics.insert(
                    name.clone(),
                    BrokerTopic { id, partitions, replication, config: BTreeMap::new() },
                );
            }
        }
        Ok(topics)
    }

    /// Makes a topic.
    ///
    /// # Errors
    ///
    /// [`AdminError`] if the broker refuses.
    pub async fn create(
        &self,
        name: &str,
        partitions: u32,
        replication: u32,
        config: &BTreeMap<String, String>,
    ) -> Result<(), AdminError> {
        let signed = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let mut topic = NewTopic::new(name, signed(partitions), TopicReplication::Fixed(signed(replication)));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let made = self
            .admin
            .create_topics([&topic], &AdminOptions::new())
            .await
            .map_err(doing("making a topic"))?;
        for outcome in made {
            outcome.map_err(|(topic, code)| AdminError::Refused {
                doing: "making a topic",
                message: format!("{topic}: {code}"),
            })?;
        }
        Ok(())
    }
}
