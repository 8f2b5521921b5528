//! Logs and metrics: names with units and meanings, no entity ids in labels.

pub mod metrics;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to standard error: JSON lines, or text for people. `RUST_LOG` chooses what; by
/// default everything from `info` up. Called twice, the second call changes nothing.
pub fn start_logging(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(layer.json()).try_init()
    } else {
        registry.with(layer.with_ansi(colour)).try_init()
    };
    if let Err(fault) = started {
        tracing::debug!(%fault, "logging had been started before");
    }
}
