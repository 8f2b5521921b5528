//! The role `archive`: public topics to the feature log.

use super::{Instance, role_name};
use crate::archive::ArchiveKeeper;
use crate::config::Role;
use anyhow::Context as _;
use std::sync::atomic::Ordering;

/// Writes the feature log until told to stop.
pub(super) fn keep_the_archive(instance: &Instance) -> anyhow::Result<()> {
    let place = instance.archive.as_ref().context("the role `archive` has no place")?;
    let archive = instance.config.archive.as_ref().context("the role `archive` has no settings")?;
    let keeper = ArchiveKeeper {
        client: &instance.client,
        place,
        limits: archive.limits,
        beat: &|| instance.heartbeats.beat(Role::Archive),
        may_end: &|| instance.stop.load(Ordering::Relaxed),
        status: &instance.status,
    };
    keeper.run(role_name(Role::Archive))
}
