//! The edge: sends what the outboxes want sent. One task per address, so a receiver that does not answer holds up nobody else.

use super::answer::Answer;
use super::outbox::{Outbox, Step};
use super::receiver::Request;
use super::report::{DeadNotification, ReceiverStatus};
use super::revision::Revision;
use super::secret::Address;
use super::settings::NotifyConfig;
use crate::time::{Clock, ProcessingTime};
use futures::future::join_all;
use reqwest::header::{HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long an answer may take, all of it.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer; more than is kept of it, and no more than anybody may send us.
const ANSWER_BYTES_MAX: usize = 4_096;
/// How often a task looks whether it may end, and the longest sleep: a machine's clock may be set.
const LOOK: Duration = Duration::from_millis(100);
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Dead letters that wait to be published. They come at the rate of one receiver's requests: an hour of them.
const DEAD_MAX: usize = 10_000;

/// Why a receiver cannot be called at all.
#[derive(Debug, thiserror::Error)]
#[error("no client for {target}: {why}")]
pub struct ClientError {
    /// Its scheme, host and port.
    pub target: String,
    /// Why.
    pub why: String,
}

/// Keeps all receivers informed.
pub struct Notifier {
    lanes: Vec<Lane>,
    dead: Mutex<Dead>,
    clock: Arc<dyn Clock + Send + Sync>,
}

struct Lane {
    outbox: Mutex<Outbox>,
    client: Client,
    woken: Notify,
}

#[derive(Default)]
struct Dead {
    letters: VecDeque<DeadNotification>,
    lost: u64,
}

impl Lane {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier {
    /// Of these receivers; none is called yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: TLS cannot be set up.
    pub fn new(config: &NotifyConfig, clock: Arc<dyn Clock + Send + Sync>) -> Result<Notifier, ClientError> {
        let lane = |outbox: Outbox| {
            let client = client(&outbox.target().address)?;
            Ok(Lane { outbox: Mutex::new(outbox), client, woken: Notify::new() })
        };
        let lanes = Outbox::all(config, clock.now()).into_iter().map(lane).collect::<Result<_, _>>()?;
        Ok(Notifier { lanes, dead: Mutex::default(), clock })
    }

    /// Takes a record, in the order of its partition. Does not wait for anybody.
    pub fn take(&self, revision: Revision) {
        let (revision, now) = (Arc::new(revision), self.clock.now());
        for lane in &self.lanes {
            let dead = lane.outbox().take(&revision, now);
            self.bury(dead);
            lane.woken.notify_one();
        }
    }

    /// The record of this fingerprint was deleted.
    pub fn erase(&self, fingerprint: &str) {
        for lane in &self.lanes {
            lane.outbox().erase(fingerprint);
            lane.woken.notify_one();
        }
    }

    /// All records that were there at the start have been taken; nothing is sent before.
    pub fn caught_up(&self) {
        for lane in &self.lanes {
            lane.outbox().caught_up();
            lane.woken.notify_one();
        }
    }

    /// Messages that will not arrive, since this was last asked; to be published as dead letters.
    #[must_use]
    pub fn dead_notifications(&self) -> Vec<DeadNotification> {
        std::mem::take(&mut self.dead().letters).into()
    }

    /// Dead letters that nobody fetched in time, and that are lost.
    #[must_use]
    pub fn dead_lost(&self) -> u64 {
        self.dead().lost
    }

    /// How things are with each receiver.
    #[must_use]
    pub fn status(&self) -> Vec<ReceiverStatus> {
        let now = self.clock.now();
        self.lanes.iter().map(|lane| lane.outbox().status(now)).collect()
    }

    /// Sends until it may end; what is on its way then is waited for, at most ten seconds. Needs a runtime with time and network.
    pub async fn run(&self, may_end: &(dyn Fn() -> bool + Sync)) {
        join_all(self.lanes.iter().map(|lane| self.carry(lane, may_end))).await;
    }

    async fn carry(&self, lane: &Lane, may_end: &(dyn Fn() -> bool + Sync)) {
        while !may_end() {
            let step = lane.outbox().next(self.clock.now());
            match step {
                Step::Send(request) => {
                    let answer = send(&lane.client, request).await;
                    self.answered(lane, &answer);
                }
                Step::Wait(until) => self.sleep(lane, until, may_end).await,
            }
        }
    }

    fn answered(&self, lane: &Lane, answer: &Answer) {
        let now = self.clock.now();
        let mut outbox = lane.outbox();
        let (before, dead) = (outbox.is_in_trouble(), outbox.answered(answer, now));
        let status = outbox.status(now);
        drop(outbox);
        match (&status.trouble, before) {
            (Some(fault), false) => {
                tracing::warn!(receiver = status.receiver, target = status.target, fault, "a receiver fails");
            }
            (Some(fault), true) => {
                tracing::debug!(receiver = status.receiver, target = status.target, fault, "it still fails");
            }
            (None, true) => {
                tracing::info!(
                    receiver = status.receiver,
                    target = status.target,
                    "a receiver answers again"
                );
            }
            (None, false) => {}
        }
        self.bury(dead);
    }

    async fn sleep(&self, lane: &Lane, until: Option<ProcessingTime>, may_end: &(dyn Fn() -> bool + Sync)) {
        let now = self.clock.now();
        let patience = until.map_or(SLEEP_MAX, |until| until.since(now)).min(SLEEP_MAX);
        let end = now.plus(patience);
        loop {
            let left = end.since(self.clock.now()).min(LOOK);
            tokio::select! {
                () = lane.woken.notified() => return,
                () = tokio::time::sleep(left) => {}
            }
            if may_end() || self.clock.now() >= end {
                return;
            }
        }
    }

    fn bury(&self, letters: impl IntoIterator<Item = DeadNotification>) {
        for letter in letters {
            let DeadNotification { receiver, target, alert, reason, status, said, .. } = &letter;
            tracing::warn!(
                receiver,
                target,
                alert_id = alert.alert_id,
                revision = alert.revision,
                ?reason,
                status,
                said,
                "a message will not arrive"
            );
            let mut dead = self.dead();
            if dead.letters.len() >= DEAD_MAX {
                dead.letters.pop_front();
                dead.lost += 1;
            }
            dead.letters.push_back(letter);
        }
    }

    fn dead(&self) -> MutexGuard<'_, Dead> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client for one address. It follows no redirection, and encrypts wherever the address says so.
pub(super) fn client(address: &Address) -> Result<Client, ClientError> {
    // only the first call installs it: HTTPS needs to know which cryptography to use
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .https_only(address.is_encrypted())
        .user_agent(concat!("tillstream/", env!("CARGO_PKG_VERSION")));
    // what is for this machine must not leave it by a proxy
    let builder = if address.is_this_machine() { builder.no_proxy() } else { builder };
    builder
        .build()
        .map_err(|fault| ClientError { target: address.to_string(), why: in_words(&fault.without_url()) })
}

/// Sends a request and reads the beginning of its answer.
pub(super) async fn send(client: &Client, request: Request) -> Answer {
    let mut sending = client.post(request.address.reveal().clone()).body(request.body);
    for (name, value) in request.headers {
        let Ok(mut value) = HeaderValue::try_from(value) else {
            return Answer::None { why: format!("the header {name} cannot be sent as it is") };
        };
        value.set_sensitive(true);
        sending = sending.header(HeaderName::from_static(name), value);
    }
    match sending.send().await {
        Err(fault) => Answer::None { why: in_words(&fault.without_url()) },
        Ok(response) => {
            let status = response.status().as_u16();
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.map(str::to_owned);
            Answer::Status { status, retry_after, said: beginning(response).await }
        }
    }
}

async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    // the status has decided: an answer that breaks off is as good as a whole one
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_BYTES_MAX {
            bytes.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A fault and what lies behind it.
fn in_words(fault: &dyn Error) -> String {
    let causes = std::iter::successors(fault.source(), |fault| (*fault).source());
    causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
