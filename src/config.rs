//! Configuration: layers (defaults, one YAML file, the environment) merged into resolved types.
//!
//! Every fault is reported at once, each with its path. Unknown keys are faults.

mod declared;
mod layers;
mod reader;
mod resolve;

pub use layers::{ENVIRONMENT_PREFIX, Tree, read_layers};
pub use resolve::{
    CheckpointConfig, Config, ConfigFiles, FIRST_STARTS, KafkaConfig, LogFormat, Role, resolve,
    resolve_beside,
};
