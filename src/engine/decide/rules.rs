//! The rules that are in force: those of the file, until others of a higher version come through the log.

use super::{Decide, DecideTask, publish_dead_letter};
use crate::engine::outputs::Outputs;
use crate::event::PublishedRules;
use crate::event::alert::Change;
use crate::event::monitor::FRAUD;
use crate::feature::FeaturePlan;
use crate::fraud::RuleSet;
use crate::ingest::dead_letter::Why;
use crate::log::Topic;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;

/// Rules that came through the log last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) version: u32,
    text: Box<str>,
    /// Ready to be evaluated; nothing if this program finds a fault in them that the one before did not find.
    #[serde(skip)]
    compiled: OnceCell<Option<RuleSet>>,
}

/// Made ready again where it is needed.
impl Clone for Published {
    fn clone(&self) -> Published {
        Published { version: self.version, text: self.text.clone(), compiled: OnceCell::new() }
    }
}

impl PartialEq for Published {
    fn eq(&self, other: &Published) -> bool {
        (self.version, &self.text) == (other.version, &other.text)
    }
}

impl Decide {
    /// The rules that are in force: of the highest version.
    pub(super) fn rules<'r>(&'r self, task: &'r DecideTask) -> &'r RuleSet {
        let file = &self.settings.rules;
        let newer = task.published.as_ref().filter(|published| published.version > file.version());
        newer.and_then(|published| published.rules(&self.settings.plan)).unwrap_or(file)
    }

    /// Rules have come. What was published last is kept whatever the file says, so that each partition knows the same of its log.
    /// Rules whose version is not above that of the ones in force are handed back, once for all partitions.
    pub(super) fn take_rules(
        &self,
        task: &mut DecideTask,
        rules: &PublishedRules<'_>,
        partition: u32,
        out: &mut Outputs,
    ) {
        let published = task.published_rules();
        let in_force = published.max(self.settings.rules.version());
        if rules.version > published {
            let (version, text) = (rules.version, rules.text.into());
            task.published = Some(Published { version, text, compiled: OnceCell::new() });
        }
        if partition > 0 {
            return;
        }
        if rules.version <= in_force {
            hand_back(rules, in_force, out);
        } else if let Some(at) = task.sources.watermark() {
            let what = format!("rules of version {} came into force", rules.version).into();
            self.tell_of(&Change { kind: "rules".into(), subject: FRAUD.into(), what, at }, out);
        }
    }
}

impl Published {
    fn rules(&self, plan: &FeaturePlan) -> Option<&RuleSet> {
        let read = || RuleSet::read_under_other_views(&self.text, &plan.feature_names()).ok();
        self.compiled.get_or_init(read).as_ref()
    }
}

/// A dead letter: the file of the rules, and where the record stands.
fn hand_back(rules: &PublishedRules<'_>, in_force: u32, out: &mut Outputs) {
    let message = format!("version {} is not above {in_force}, which is in force", rules.version);
    let why = Why { reason: "outdated_rules", path: "rules.version", message: &message };
    let file = rules.text.as_bytes().to_vec();
    publish_dead_letter((Topic::Rules, rules.origin), why, (b"rules", file), out);
}
