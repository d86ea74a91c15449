//! The handle of a database: opening, reading, writing, closing.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc;
use wire::{NetworkId, NodeId};

use crate::{
    Reader, StoreError, Transaction, connection, file,
    owner::Owner,
    reader::ReaderPool,
    writer::{self, Job, Writer},
};

/// An open database; clones are the same one. When the last one is dropped, the writes that were
/// taken are finished and the lock is released before the drop returns.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    readers: Arc<ReaderPool>,
    writer: Mutex<Option<Running>>,
}

struct Running {
    queue: mpsc::Sender<Box<dyn Job>>,
    thread: JoinHandle<()>,
}

impl Store {
    /// Opens the database of a node, making it, and its folder, if it is not there. Blocks.
    pub fn open(
        path: impl AsRef<Path>,
        network: NetworkId,
        node: NodeId,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let owner = Owner { network, node };
        let lock = file::prepare(&path)?;
        let reader = Reader::new(connection::open_writer(&path, &owner)?, owner);
        let writer = Writer::new(reader, lock)?;
        let (queue, jobs) = mpsc::channel(writer::QUEUE);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(StoreError::io("start the writer of", &path))?;
        let readers = Arc::new(ReaderPool::new(path.clone(), owner));
        let writer = Mutex::new(Some(Running { queue, thread }));
        Ok(Self { shared: Arc::new(Shared { path, readers, writer }) })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `work` in a transaction and waits until it is durable. All of `work`'s changes are kept,
    /// or, if it fails or panics, none. Waits while the queue is full. Who drops the future before
    /// it is ready does not know whether the write took place. `work` runs on the writer thread: it
    /// must be short and must not call the store.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = writer::job(work);
        self.shared.queue()?.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// [`Store::write`] for start-up and the command line; panics inside of an async task.
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = writer::job(work);
        self.shared.queue()?.blocking_send(job).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` on one state of the database, on a thread that may block.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.readers.run_on(work).await
    }

    /// [`Store::read`] on the calling thread, for start-up and the command line.
    pub fn read_blocking<T>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.readers.run(work)
    }

    /// Finishes the writes that were taken, stops the writer and releases the lock. Other clones
    /// get [`StoreError::Closed`] from now on.
    pub async fn close(self) -> Result<(), StoreError> {
        let Some(thread) = self.shared.stop() else {
            return Ok(());
        };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        let ended = joined.map_err(|_| StoreError::Closed)?;
        ended.map_err(crate::reader::panic_error)
    }
}

impl Shared {
    fn queue(&self) -> Result<mpsc::Sender<Box<dyn Job>>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map(|running| running.queue.clone()).ok_or(StoreError::Closed)
    }

    /// Lets the writer run out of work; its thread, the first time.
    fn stop(&self) -> Option<JoinHandle<()>> {
        self.readers.close();
        let running = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.map(|running| running.thread)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(writer) = self.stop() {
            // A closure may have held the last clone: then this is the writer itself.
            if writer.thread().id() != thread::current().id() {
                // A panic of the writer was answered with `Closed` where it mattered.
                let _ = writer.join();
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.shared.path).finish_non_exhaustive()
    }
}
