//! What the API keeps, who may ask it, and how it answers when no score comes.

use super::reader::Section;
use super::resolve::secret_of;
use crate::event::public::Action;
use crate::fault::Fault;
use crate::recommend::neighbours::LAST_ITEMS_MAX;
use crate::recommend::{NeighbourSettings, RecommendSettings};
use crate::serve::clients::ClientRole;
use crate::serve::push::PushSettings;
use crate::serve::score::{Fallback, ScoreSettings};
use crate::session::LAST_ITEMS_MAX as SESSION_ITEMS_MAX;
use crate::view::ViewSettings;
use serde_json::Value;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A client of the API. Of its token only the hash is kept.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Its name, for logs.
    pub name: String,
    /// The hash of its token.
    pub token: blake3::Hash,
    /// What it may do.
    pub roles: Vec<ClientRole>,
    /// Requests per second, and so many at once.
    pub rate: (NonZeroU32, NonZeroU32),
}

/// The API.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// How far back public topics are read at the start; sessions, to recommend from, further.
    pub history: Duration,
    /// How far back sessions are read at the start.
    pub sessions_history: Duration,
    /// What is kept.
    pub view: ViewSettings,
    /// How recommendations are pushed, if they are.
    pub push: Option<PushSettings>,
    /// Streams of events that may be open.
    pub streams_max: u32,
    /// How scores are waited for.
    pub score: ScoreSettings,
    /// Who may ask.
    pub clients: Vec<ClientConfig>,
}

/// Paths of files are relative to `folder`.
pub(super) fn serve(
    mut section: Section<'_>,
    (recommend, push): (RecommendSettings, Option<PushSettings>),
    (payload_bytes_max, deadline): (usize, Duration),
    folder: &Path,
    faults: &mut Vec<Fault>,
) -> ServeConfig {
    let verdicts_max = section.count("verdicts_max", 1_000_000, 1..=1_000_000_000, faults) as usize;
    let mut entries = |key| section.count(key, 100_000, 1..=100_000_000, faults) as usize;
    let view = ViewSettings {
        visitors_max: entries("visitors_max"),
        entities_max: entries("entities_max"),
        decisions_max: entries("decisions_max"),
        verdicts_max,
        recommend,
        payload_bytes_max,
    };
    let history = section.duration("history", DAY, MILLISECOND, faults);
    let sessions_history = section.duration("sessions_history", 7 * DAY, MILLISECOND, faults);
    let streams_max = section.count("streams_max", 1_000, 1..=1_000_000, faults);
    let score = score(section.section("score", faults), deadline, faults);
    let mut clients = Vec::<ClientConfig>::new();
    for (place, value) in section.list("clients", faults).into_iter().flatten().enumerate() {
        let path = format!("{}[{place}]", section.path("clients"));
        if let Some(found) = client(Section::element(path.clone(), value, faults), folder, faults) {
            if clients.iter().any(|known| known.name == found.name || known.token == found.token) {
                faults.push(Fault::new(path, "has the name or the token of another client"));
            }
            clients.push(found);
        }
    }
    section.finish(faults);
    ServeConfig { history, sessions_history, view, push, streams_max, score, clients }
}

fn score(mut section: Section<'_>, deadline: Duration, faults: &mut Vec<Fault>) -> ScoreSettings {
    let budget = section.duration("budget", Duration::from_millis(400), MILLISECOND, faults);
    if budget <= deadline {
        let message =
            "must be longer than decisions.deadline: a score without all its parts comes after that";
        faults.push(Fault::new(section.path("budget"), message));
    }
    let waiting_max = section.count("waiting_max", 10_000, 1..=10_000_000, faults);
    let mut fallbacks = Vec::new();
    for (place, value) in section.list("fallback", faults).into_iter().flatten().enumerate() {
        let path = format!("{}[{place}]", section.path("fallback"));
        let mut fallback = Section::element(path, value, faults);
        fallback.require(&["decision"], faults);
        fallbacks.push(Fallback {
            channel: fallback.optional_text("channel", faults),
            amount_up_to_minor: amount(&mut fallback, faults),
            decision: fallback.choice("decision", Action::Review, &Action::NAMES, faults),
        });
        fallback.finish(faults);
    }
    section.finish(faults);
    ScoreSettings { budget, fallbacks, waiting_max }
}

fn amount(section: &mut Section<'_>, faults: &mut Vec<Fault>) -> Option<i64> {
    let value = section.value("amount_up_to_minor")?;
    let amount = value.as_i64().filter(|amount| *amount >= 0);
    if amount.is_none() {
        let path = section.path("amount_up_to_minor");
        faults.push(Fault::new(path, "must be a whole number of minor units, 0 or more"));
    }
    amount
}

fn client(mut section: Section<'_>, folder: &Path, faults: &mut Vec<Fault>) -> Option<ClientConfig> {
    section.require(&["name", "token_file", "roles"], faults);
    let name = section.text("name", "", faults);
    let names = ClientRole::ALL.map(|(name, _)| name).join(", ");
    let role = |value: &Value| {
        ClientRole::ALL.iter().find(|(name, _)| value.as_str() == Some(*name)).map(|(_, role)| *role)
    };
    let roles = section.each("roles", &format!("must be one of {names}"), role, &ClientRole::Page, faults);
    if roles.is_empty() {
        faults.push(Fault::new(section.path("roles"), format!("must name one of {names}")));
    }
    let mut rate = |key, default| {
        let count = section.count(key, default, 1..=1_000_000, faults);
        NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
    };
    let per_second = rate("requests_per_second", 1_000);
    let burst = rate("burst", per_second.get());
    let token = section.optional_text("token_file", faults).map(|file| read_token(&folder.join(file)));
    if let Some(Err(message)) = &token {
        faults.push(Fault::new(section.path("token_file"), message.clone()));
    }
    section.finish(faults);
    Some(ClientConfig { name, token: token?.ok()?, roles, rate: (per_second, burst) })
}

/// The hash of a file's content without white space around it, at least 16 bytes of it.
fn read_token(file: &Path) -> Result<blake3::Hash, String> {
    let token = secret_of(file)?;
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(format!("{} must hold letters, digits and signs, without spaces", file.display()));
    }
    Ok(blake3::hash(&token))
}

/// What recommendations are made of.
pub(super) fn recommend(
    mut section: Section<'_>,
    faults: &mut Vec<Fault>,
) -> (RecommendSettings, Option<PushSettings>) {
    let mut count = |key, default, most| section.count(key, default, 1..=most, faults) as usize;
    let items_max = u32::try_from(SESSION_ITEMS_MAX).unwrap_or(u32::MAX);
    let last_max = u32::try_from(LAST_ITEMS_MAX).unwrap_or(u32::MAX);
    let neighbours = NeighbourSettings {
        sessions_max: count("sessions_max", 200_000, 100_000_000),
        session_items_max: count("session_items_max", items_max, items_max),
        candidates: count("candidates", 1_500, 100_000),
        neighbours: count("neighbours", 300, 100_000),
        last_items: count("last_items", 4, last_max),
        rarity_weight: 2.0,
    };
    let items_max = count("items_max", 100_000, 100_000_000);
    let events_per_minute_max = section.count("events_per_minute_max", 30, 1..=1_000_000, faults);
    let rarity_weight = section.number("rarity_weight", 2.0, faults);
    if !(rarity_weight > 0.0 && rarity_weight.is_finite()) {
        faults.push(Fault::new(section.path("rarity_weight"), "must be greater than zero"));
    }
    let shows_seen = section.truth("show_seen", false, faults);
    let half_life = section.duration("popularity_half_life", DAY, MILLISECOND, faults);
    let push_count = section.count("push_count", 20, 1..=100, faults) as usize;
    let push = section.truth("push", false, faults).then_some(PushSettings { count: push_count });
    section.finish(faults);
    let settings = RecommendSettings {
        neighbours: NeighbourSettings { rarity_weight, ..neighbours },
        half_life,
        items_max,
        shows_seen,
        events_per_minute_max,
    };
    (settings, push)
}
