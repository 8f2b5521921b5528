//! One live holder per slot: whoever comes second is refused, instead of taking the partitions of the first.
//!
//! Where checkpoints lie in a folder, the holder has the lock of a file there: the system lets go of it when the process ends,
//! however it ends. In an object store the holder writes a lease again every second; who finds one that does not change for three
//! seconds, by its own clock, takes it over. The lease spares people a mistake; what is folded and published does not rest
//! on it (`docs/delivery.md`).

use crate::store::Place;
use anyhow::Context as _;
use object_store::path::Path as ObjectPath;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often a lease is written again.
const RENEWAL: Duration = Duration::from_secs(1);
/// A lease that has not changed for so long has no live holder.
const EXPIRY: Duration = Duration::from_secs(3);

/// A slot that is held until this is dropped.
pub enum Held {
    /// By the lock of a file.
    Lock(File),
    /// By a lease that is renewed.
    Lease(Lease),
}

/// A lease in an object store.
pub struct Lease {
    store: Arc<dyn ObjectStore>,
    path: ObjectPath,
    version: UpdateVersion,
    /// Tells this holder from every other, on whatever machine.
    nonce: u64,
    renewals: u64,
}

impl Held {
    /// Takes the slot `name` (of one role of one application) at `place`.
    ///
    /// # Errors
    ///
    /// If it has a live holder, or the place does not answer.
    pub async fn take(place: &Place, name: &str) -> anyhow::Result<Held> {
        match place.local_folder() {
            Some(folder) => lock(folder, name).map(Held::Lock),
            None => {
                let (store, path) = place.object(&format!("{name}.holder"));
                Lease::take(store, path).await.map(Held::Lease)
            }
        }
    }

    /// Keeps the slot; returns only if somebody else has taken it.
    pub async fn keep(&mut self) -> anyhow::Error {
        match self {
            Held::Lock(_) => std::future::pending().await,
            Held::Lease(lease) => loop {
                tokio::time::sleep(RENEWAL).await;
                match lease.renew().await {
                    Ok(()) => {}
                    Err(StoreError::Precondition { .. } | StoreError::NotFound { .. }) => {
                        if !lease.is_still_ours().await {
                            return anyhow::anyhow!("{}: another instance has taken this slot", lease.path);
                        }
                    }
                    Err(fault) => tracing::warn!(%fault, path = %lease.path, "the lease of the slot"),
                }
            },
        }
    }

    /// Lets go of it at a clean end, so that the next holder need not wait.
    pub async fn release(self) {
        if let Held::Lease(mut lease) = self
            && lease.is_still_ours().await
            && let Err(fault) = lease.store.delete(&lease.path).await
        {
            tracing::warn!(%fault, path = %lease.path, "letting the slot go");
        }
    }
}

fn lock(folder: &Path, name: &str) -> anyhow::Result<File> {
    let path = folder.join(format!("{name}.holder"));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("making {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            anyhow::bail!("{}", refusal(name, holder.trim()));
        }
        Err(TryLockError::Error(fault)) => {
            return Err(fault).with_context(|| format!("locking {}", path.display()));
        }
    }
    // for people; the lock is what counts
    file.set_len(0)
        .and_then(|()| writeln!(file, "process {}", std::process::id()))
        .context("naming the holder")?;
    Ok(file)
}

fn refusal(name: &str, holder: &str) -> String {
    format!(
        "the slot `{name}` is held by a live instance ({holder}): give each instance a slot of its own, or stop that one"
    )
}

impl Lease {
    async fn take(store: Arc<dyn ObjectStore>, path: ObjectPath) -> anyhow::Result<Lease> {
        let asking = || format!("taking the slot at {path}");
        let mode = match store.head(&path).await {
            Err(StoreError::NotFound { .. }) => PutMode::Create,
            Err(fault) => return Err(fault).with_context(asking),
            Ok(found) => {
                let begun = tokio::time::Instant::now();
                tracing::info!(%path, "the slot had a holder; waiting whether it lives");
                while begun.elapsed() < EXPIRY {
                    tokio::time::sleep(RENEWAL / 4).await;
                    let now = match store.head(&path).await {
                        // let go of while we waited
                        Err(StoreError::NotFound { .. }) => break,
                        outcome => outcome.with_context(asking)?,
                    };
                    if now.e_tag != found.e_tag {
                        let name = path.filename().unwrap_or_default().trim_end_matches(".holder").to_owned();
                        anyhow::bail!("{}", refusal(&name, "its lease is renewed"));
                    }
                }
                match store.head(&path).await {
                    Err(StoreError::NotFound { .. }) => PutMode::Create,
                    _ => PutMode::Update(UpdateVersion { e_tag: found.e_tag, version: found.version }),
                }
            }
        };
        let version = UpdateVersion { e_tag: None, version: None };
        let nonce = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let mut lease = Lease { store, path, version, nonce, renewals: 0 };
        match lease.put(mode).await {
            Ok(()) => Ok(lease),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                let name = lease.path.filename().unwrap_or_default().trim_end_matches(".holder");
                anyhow::bail!("{}", refusal(name, "it was taken at this moment"))
            }
            Err(fault) => Err(fault).with_context(|| format!("taking the slot at {}", lease.path)),
        }
    }

    /// Whether what lies there was written by this holder: an answer may have been lost. Takes its version over.
    async fn is_still_ours(&mut self) -> bool {
        let Ok(found) = self.store.get(&self.path).await else { return false };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let is_ours = found.bytes().await.is_ok_and(|bytes| bytes.starts_with(self.name().as_bytes()));
        if is_ours {
            self.version = version;
        }
        is_ours
    }

    fn name(&self) -> String {
        format!("process {} ({:016x})", std::process::id(), self.nonce)
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        self.put(PutMode::Update(self.version.clone())).await
    }

    async fn put(&mut self, mode: PutMode) -> Result<(), StoreError> {
        self.renewals += 1;
        let text = format!("{}, renewal {}\n", self.name(), self.renewals);
        let put = self.store.put_opts(&self.path, PutPayload::from(text), PutOptions::from(mode)).await?;
        self.version = UpdateVersion { e_tag: put.e_tag, version: put.version };
        Ok(())
    }
}
