//! Where the feature log lies, and when it is written.

use super::reader::Section;
use crate::archive::RangeLimits;
use crate::fault::Fault;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The shortest time after which a range is closed: each makes at least two objects.
const INTERVAL_LEAST: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(60);
/// Of 60 features each, 75 MB per partition at most, while they are gathered.
const RECORDS_MAX: u32 = 50_000;

/// The feature log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// A folder, or a place in an object store.
    pub url: String,
    /// What a folder is relative to.
    pub folder: PathBuf,
    /// When ranges are closed.
    pub limits: RangeLimits,
}

/// None if the section has no keys. A folder in it is relative to `folder`.
pub(super) fn archive(
    mut section: Section<'_>,
    folder: &Path,
    faults: &mut Vec<Fault>,
) -> Option<ArchiveConfig> {
    let url = section.optional_text("url", faults);
    let interval = section.duration("interval", INTERVAL, INTERVAL_LEAST, faults);
    let records_max = section.count("records_max", RECORDS_MAX, 1..=1_000_000, faults) as usize;
    section.require(&["url"], faults);
    if url.as_deref() == Some("") {
        faults.push(Fault::new(section.path("url"), "must be a folder, or such as s3://bucket/path"));
    }
    section.finish(faults);
    let limits = RangeLimits { records_max, interval };
    url.map(|url| ArchiveConfig { url, folder: folder.to_owned(), limits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tree;

    fn resolved(json: &str) -> (Option<ArchiveConfig>, Vec<Fault>) {
        let tree: Tree = serde_json::from_str(json).expect("a section");
        let mut faults = Vec::new();
        let section = Section::root(&tree).section("archive", &mut faults);
        (archive(section, Path::new("shop"), &mut faults), faults)
    }

    #[test]
    fn without_a_section_there_is_no_archive_and_with_one_it_has_a_place() {
        assert_eq!(resolved("{}"), (None, Vec::new()));
        let (config, faults) = resolved(r#"{"archive": {"url": "log", "interval": "5s"}}"#);
        let limits = RangeLimits { records_max: 50_000, interval: Duration::from_secs(5) };
        let expected = ArchiveConfig { url: "log".to_owned(), folder: "shop".into(), limits };
        assert_eq!((config, faults), (Some(expected), Vec::new()));
    }

    #[test]
    fn every_fault_of_the_section_is_reported() {
        let (_, faults) = resolved(r#"{"archive": {"interval": "999ms", "records_max": 0, "uri": "log"}}"#);
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["archive.interval", "archive.records_max", "archive.url", "archive.uri"]);
        let (_, faults) = resolved(r#"{"archive": {"url": ""}}"#);
        assert_eq!(faults.len(), 1);
    }
}
