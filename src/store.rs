//! Checkpoints in a folder or an object store, and the thread that works on them while a worker goes on.

use crate::checkpoint::{Folder, FolderError, Found, Keeper};
use crate::crash_points::reach;
use crate::engine::checkpoints::{Checkpoints, Ended, Outcome, Request, Requests, hand_out};
use crate::log::frame::SourceId;
use crate::time::Stopwatch;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{
    ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, PutOptions, PutPayload, RetryConfig,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use url::Url;

/// Between two attempts at storage that fails: doubled from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(10);

/// A request to an object store is tried again by its client, but not for so long that nobody hears of it.
const OBJECT_STORE_RETRIES: usize = 3;
const OBJECT_STORE_RETRY_TIMEOUT: Duration = Duration::from_secs(15);

/// Where checkpoints, or the feature log, lie.
#[derive(Debug, Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// Where it is, if it is a folder.
    local: Option<PathBuf>,
}

impl Place {
    /// The folder `name`, relative to `folder`, which is made if it is not there; or `s3://bucket/path`, `gs://bucket/path`
    /// or `az://container/path`, with account, region, keys and endpoint from the environment under the names of
    /// those services (`AWS_…`, `GOOGLE_…`, `AZURE_…`). No store is asked yet.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn new(name: &str, folder: &Path) -> Result<Place, String> {
        match name.split_once("://") {
            None => Place::folder(name, folder),
            Some(("file", path)) => Place::folder(path, folder),
            Some(_) => Place::object_store(name),
        }
    }

    /// The folder, if it is one.
    pub(crate) fn local_folder(&self) -> Option<&Path> {
        self.local.as_deref()
    }

    /// Where an object of that name lies directly in this place.
    pub(crate) fn object(&self, name: &str) -> (Arc<dyn ObjectStore>, ObjectPath) {
        (self.store.clone(), self.prefix.clone().join(name))
    }

    /// The store, and the path in it below which everything lies.
    pub(crate) fn root(&self) -> (Arc<dyn ObjectStore>, ObjectPath) {
        (self.store.clone(), self.prefix.clone())
    }

    fn object_store(url: &str) -> Result<Place, String> {
        // only the first call installs it: HTTPS needs to know which cryptography to use
        drop(rustls::crypto::ring::default_provider().install_default());
        let retry = RetryConfig {
            max_retries: OBJECT_STORE_RETRIES,
            retry_timeout: OBJECT_STORE_RETRY_TIMEOUT,
            ..RetryConfig::default()
        };
        let parsed = Url::parse(url).map_err(|fault| format!("`{url}`: {fault}"))?;
        let (scheme, path) =
            ObjectStoreScheme::parse(&parsed).map_err(|fault| format!("`{url}`: {fault}"))?;
        let store: Result<Arc<dyn ObjectStore>, _> = match scheme {
            ObjectStoreScheme::AmazonS3 => {
                let builder = AmazonS3Builder::from_env().with_url(url).with_retry(retry);
                builder.build().map(|store| Arc::new(store) as _)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry);
                builder.build().map(|store| Arc::new(store) as _)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry);
                builder.build().map(|store| Arc::new(store) as _)
            }
            _ => return Err(format!("`{url}`: only s3://, gs://, az:// and folders are known")),
        };
        let store = store.map_err(|fault| format!("`{url}`: {fault}"))?;
        Ok(Place { store, prefix: path, local: None })
    }

    fn folder(name: &str, folder: &Path) -> Result<Place, String> {
        let path = folder.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|fault| format!("{} cannot be made: {fault}", path.display()))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(&path)
            .map_err(|fault| fault.to_string())?
            .with_fsync(true);
        Ok(Place { store: Arc::new(store), prefix: ObjectPath::default(), local: Some(path) })
    }
}

/// The folders of one application's tasks in a place.
struct ObjectFolder {
    place: Place,
    application: String,
    /// Names of topics by id, so that people find their way.
    topics: BTreeMap<u128, &'static str>,
    runtime: tokio::runtime::Runtime,
}

impl ObjectFolder {
    fn path(&self, task: SourceId) -> ObjectPath {
        let topic = self.topics.get(&task.topic).copied().unwrap_or("unknown");
        self.place
            .prefix
            .clone()
            .join(self.application.as_str())
            .join(format!("{topic}-{:032x}", task.topic))
            .join(format!("{:05}", task.partition))
    }

    fn fault(what: &'static str, name: &str, fault: &object_store::Error) -> FolderError {
        FolderError { what, name: name.to_owned(), fault: fault.to_string() }
    }
}

impl Folder for ObjectFolder {
    fn names(&mut self, task: SourceId) -> Result<Vec<String>, FolderError> {
        let path = self.path(task);
        let listed = self.runtime.block_on(async {
            self.place.store.list(Some(&path)).map_ok(|meta| meta.location).try_collect::<Vec<_>>().await
        });
        let locations = listed.map_err(|fault| ObjectFolder::fault("listing", path.as_ref(), &fault))?;
        Ok(locations.iter().filter_map(|location| location.filename().map(str::to_owned)).collect())
    }

    fn read(&mut self, task: SourceId, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.path(task).join(name);
        let read = self.runtime.block_on(async { self.place.store.get(&path).await?.bytes().await });
        match read {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(fault) => Err(ObjectFolder::fault("reading", path.as_ref(), &fault)),
        }
    }

    fn create(&mut self, task: SourceId, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path(task).join(name);
        let payload = PutPayload::from(bytes.to_vec());
        let options = PutOptions::from(PutMode::Create);
        reach("checkpoint.before");
        match self.runtime.block_on(self.place.store.put_opts(&path, payload, options)) {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {
                reach("checkpoint.after");
                Ok(())
            }
            Err(fault) => Err(ObjectFolder::fault("making", path.as_ref(), &fault)),
        }
    }

    fn delete(&mut self, task: SourceId, name: &str) -> Result<(), FolderError> {
        let path = self.path(task).join(name);
        reach("checkpoint.delete");
        match self.runtime.block_on(self.place.store.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(ObjectFolder::fault("deleting", path.as_ref(), &fault)),
        }
    }

    /// In a folder of the system a file is staged as `<name>#<number>` and then linked to its name. A listing does not show
    /// those, and a kill between the two leaves one.
    fn sweep(&mut self, task: SourceId) -> Result<(), FolderError> {
        let Some(local) = &self.place.local else { return Ok(()) };
        let folder = local.join(self.path(task).as_ref());
        let fault = |fault: std::io::Error| FolderError {
            what: "sweeping",
            name: folder.display().to_string(),
            fault: fault.to_string(),
        };
        for entry in std::fs::read_dir(&folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.file_name().to_string_lossy().contains('#') {
                match std::fs::remove_file(entry.path()) {
                    // whoever was at it has linked it meanwhile
                    Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
                    removed => removed.map_err(fault)?,
                }
            }
        }
        Ok(())
    }
}

/// The newest chain of checkpoints of a task, whatever was written since; nothing is changed.
///
/// # Errors
///
/// If the storage does not answer.
pub fn newest(
    place: &Place,
    application: &str,
    topics: BTreeMap<u128, &'static str>,
    task: SourceId,
    shape: u64,
) -> anyhow::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = ObjectFolder { place: place.clone(), application: application.to_owned(), topics, runtime };
    Ok(Keeper::new(folder).find(task, shape)?)
}

/// The storage of one worker: a thread that finds, saves and folds.
pub struct StorageThread {
    requests: Sender<Request>,
    ended: Receiver<Ended>,
}

impl StorageThread {
    /// Starts it. In `failures` it counts what the storage refuses or does not answer.
    ///
    /// # Errors
    ///
    /// If the system gives no thread or no runtime.
    pub fn start(
        place: &Place,
        application: &str,
        topics: BTreeMap<u128, &'static str>,
        failures: &Arc<AtomicU64>,
    ) -> std::io::Result<StorageThread> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder =
            ObjectFolder { place: place.clone(), application: application.to_owned(), topics, runtime };
        let (requests, received) = channel();
        let (done, ended) = channel();
        let failures = failures.clone();
        std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || work(Keeper::new(folder), &received, &done, &failures))?;
        Ok(StorageThread { requests, ended })
    }
}

impl Checkpoints for StorageThread {
    fn ask(&mut self, request: Request) {
        if self.requests.send(request).is_err() {
            tracing::error!("the thread of the checkpoints has ended: no checkpoints are written");
        }
    }

    fn ended(&mut self, into: &mut Vec<Ended>) {
        into.extend(self.ended.try_iter());
    }
}

/// Works until the worker is gone. What fails is tried again and again, ever more slowly: storage that is away or full comes back,
/// and until then state is in memory.
fn work(
    mut keeper: Keeper<ObjectFolder>,
    received: &Receiver<Request>,
    done: &Sender<Ended>,
    failures: &AtomicU64,
) {
    let mut requests = Requests::default();
    let mut pause = RETRY_FIRST;
    loop {
        if requests.is_empty() {
            let Ok(request) = received.recv() else { return };
            requests.push(request);
        }
        received.try_iter().for_each(|request| requests.push(request));
        let Some(request) = requests.first() else { continue };
        let begun = Stopwatch::start();
        match request.carry_out(&mut keeper) {
            Ok(outcome) => {
                requests.done();
                pause = RETRY_FIRST;
                tell(&mut keeper, outcome, begun.elapsed(), (done, failures));
            }
            Err(fault) => {
                failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%fault, "the storage of checkpoints fails; trying again");
                if !wait(received, &mut requests, pause) {
                    return;
                }
                pause = (pause * 2).min(RETRY_LAST);
            }
        }
    }
}

/// Takes requests for so long, or until one comes that goes before those that wait. Returns whether the worker is there.
fn wait(received: &Receiver<Request>, requests: &mut Requests, pause: Duration) -> bool {
    let begun = Stopwatch::start();
    loop {
        match received.recv_timeout(pause.saturating_sub(begun.elapsed())) {
            Ok(request) => {
                let is_search = matches!(request, Request::Find(..));
                requests.push(request);
                if is_search {
                    return true;
                }
            }
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

fn tell(
    keeper: &mut Keeper<ObjectFolder>,
    outcome: Outcome,
    took: Duration,
    (done, failures): (&Sender<Ended>, &AtomicU64),
) {
    // a worker that is gone takes nothing, and its requests end
    let give = |ended| drop(done.send(ended));
    match outcome {
        Outcome::Nothing => {}
        Outcome::Found(search, found) => {
            report(search.task, &found, took);
            hand_out(search, &found, give);
        }
        Outcome::Saved(task, saved) => {
            tracing::debug!(
                partition = task.partition,
                offset = saved.offset,
                bytes = saved.bytes,
                "checkpoint saved"
            );
            give(Ended::Saved(task, saved));
            if let Err(fault) = keeper.tidy(task) {
                failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%fault, "folding checkpoints; it is tried again after the next one");
            }
        }
    }
}

fn report(task: SourceId, found: &Found, took: Duration) {
    for (name, reason) in &found.passed_over {
        tracing::warn!(partition = task.partition, file = %name, %reason, "a checkpoint cannot be used; the one before it is tried");
    }
    match found.chain.last() {
        Some(newest) => tracing::info!(
            partition = task.partition,
            offset = newest.head.offset,
            files = found.chain.len(),
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "checkpoint found"
        ),
        None => tracing::info!(partition = task.partition, "no checkpoint found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Cut;
    use crate::log::frame::{FoldVersion, Life};

    #[test]
    fn what_a_kill_has_left_half_made_goes_when_the_chain_is_folded() {
        let place = tempfile::tempdir().expect("a folder for temporary files");
        let task = SourceId { topic: 1, partition: 0 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = ObjectFolder {
            place: Place::new("checkpoints", place.path()).expect("a writable folder"),
            application: "shop".to_owned(),
            topics: BTreeMap::from([(1, "clickstream")]),
            runtime,
        };
        let of_task = place.path().join("checkpoints").join(folder.path(task).as_ref());
        std::fs::create_dir_all(&of_task).expect("a writable folder");
        std::fs::write(of_task.join("half#7"), "half").expect("a writable folder");
        let mut keeper = Keeper::new(folder);
        for offset in 0..10 {
            let (life, fold) = (Life(1), FoldVersion(1));
            let cut = Cut { offset, life, fold, shape: 0, watermark: None, whole: Vec::new() };
            keeper.begin(task, cut);
            keeper.save(task).expect("a writable folder").expect("it was begun");
            keeper.tidy(task).expect("a writable folder");
        }
        let left: Vec<_> = std::fs::read_dir(&of_task).expect("it is there").flatten().collect();
        assert!(left.len() >= 2, "the chain");
        assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains('#')), "{left:?}");
    }
}
