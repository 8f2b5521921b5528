//! Configuration: layers (defaults, one YAML file, the environment) merged into resolved types.
//!
//! Every fault is reported at once, each with its path. Unknown keys are faults.

mod archive;
mod declared;
mod drift;
mod kafka;
mod layers;
mod notify;
mod reader;
mod resolve;
mod serve;

pub use archive::ArchiveConfig;
pub use kafka::KafkaConfig;
pub use layers::{Tree, read_layers};
pub use resolve::{
    CheckpointConfig, Config, ConfigFiles, FIRST_STARTS, LogFormat, Role, resolve, resolve_beside,
};
pub(crate) use resolve::{DEFAULT_RULES, MODEL_OF_THE_PROGRAM};
pub use serve::{ClientConfig, ServeConfig};
