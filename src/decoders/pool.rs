//! Workers that wait for work, and what becomes of one that does not do it.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::frame::{receive, send};
use super::wire::{Reply, Request, believable, printable};
use super::{ARGUMENT, Confinement};
use crate::mem::{Budget, Reservation, SharedFile, Use};
use crate::raster::foreign::{Parsed, Pieces};
use crate::raster::{Codec, Counted, Decoders, Header, Limits, RasterError, Source};
use crate::stats::Stats;

/// How long a worker may take to begin.
const START: Duration = Duration::from_secs(10);
/// What a worker takes that has nothing to do.
const IDLE_BYTES: u64 = 1 << 20;

/// Settings of [`Workers`].
#[derive(Debug, Clone)]
pub struct WorkersConfig {
    /// What is run as a worker: this program.
    pub program: PathBuf,
    /// The most that a decoder may take, in bytes.
    pub decode_bytes: u64,
    /// How many work at once.
    pub at_once: usize,
    /// What workers without work are counted in.
    pub budget: Arc<Budget>,
    /// Where workers are counted that were stopped.
    pub stats: Arc<Stats>,
}

/// Decoders in processes of their own.
#[derive(Debug)]
pub struct Workers {
    config: WorkersConfig,
    runtime: Runtime,
    turns: Semaphore,
    idle: Mutex<Vec<Worker>>,
    confinement: OnceLock<Confinement>,
    /// Whether any was started.
    has_begun: AtomicBool,
    this: Weak<Workers>,
}

/// One process.
#[derive(Debug)]
struct Worker {
    child: Child,
    link: UnixStream,
    _counted: Reservation,
}

impl Workers {
    /// Workers, of which the first one is started when the first image is looked at: a
    /// mount without any has none. Must be called on the runtime that waits for them.
    pub fn new(config: WorkersConfig) -> Arc<Self> {
        Arc::new_cyclic(|this| Workers {
            turns: Semaphore::new(config.at_once.max(1)),
            config,
            runtime: Runtime::current(),
            idle: Mutex::default(),
            confinement: OnceLock::new(),
            has_begun: AtomicBool::new(false),
            this: this.clone(),
        })
    }

    /// How well workers are confined, once one of them has begun.
    pub fn confinement(&self) -> Option<Confinement> {
        self.confinement.get().copied()
    }

    /// Has a worker ready before somebody needs it.
    fn start_ahead(&self) {
        let Some(workers) = self.this.upgrade() else { return };
        self.runtime.spawn(async move {
            match workers.begin().await {
                Ok(worker) => workers.keep(worker),
                Err(error) => tracing::warn!("no decoder could be started ahead: {error}"),
            }
        });
    }

    /// A worker: one that waits, or a new one.
    async fn take(&self) -> io::Result<Worker> {
        loop {
            let idle = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let worker = idle.pop();
                (worker, idle.is_empty())
            };
            let (Some(mut worker), is_last) = idle else { return self.begin().await };
            if is_last && self.turns.available_permits() > 0 {
                self.start_ahead();
            }
            // It may have been killed while it waited.
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Ok(worker);
            }
        }
    }

    fn keep(&self, worker: Worker) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.config.at_once.max(1) {
            idle.push(worker);
            return;
        }
        drop(idle);
        drop(Busy { worker: Some(worker), runtime: self.runtime.clone() });
    }

    async fn begin(&self) -> io::Result<Worker> {
        let (program, bytes) = (self.config.program.clone(), self.config.decode_bytes);
        let started = self.runtime.spawn_blocking(move || {
            let (ours, theirs) = StdUnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let child = Command::new(program)
                .arg0("s3mem")
                .args([ARGUMENT, &bytes.to_string()])
                .env_clear()
                .current_dir("/")
                .stdin(OwnedFd::from(theirs))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            io::Result::Ok((child, ours))
        });
        let (child, link) = started.await.map_err(io::Error::other)??;
        let worker = Worker {
            child,
            link: UnixStream::from_std(link)?,
            _counted: self.config.budget.charge(IDLE_BYTES).of(Use::Images),
        };
        let mut busy = Busy { worker: Some(worker), runtime: self.runtime.clone() };
        match timeout(START, receive(busy.link()?)).await {
            Ok(Ok(Reply::Ready(confinement))) => {
                if self.confinement.set(confinement).is_ok() && !confinement.is_complete() {
                    tracing::warn!(
                        "this system does not let decoders be confined: {confinement:?}; an image \
                         made by somebody else may do what s3mem may do. See --decoders in the README"
                    );
                }
            }
            Ok(Ok(_)) => return Err(io::Error::other("a worker does not say that it is ready")),
            Ok(Err(error)) => return Err(busy.ended(error).await),
            Err(_) => return Err(io::Error::from(ErrorKind::TimedOut)),
        }
        busy.done()
    }

    /// Asks a worker, and has its answer within `deadline`. The worker is killed if it has
    /// none, or if whoever waits for it goes.
    async fn ask(&self, task: Task<'_>, deadline: Duration) -> Result<Reply, RasterError> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| RasterError::NoDecoder("the mount has ended".to_owned()))?;
        let worker = self.take().await;
        let worker = worker.map_err(|error| RasterError::NoDecoder(error.to_string()))?;
        let mut busy = Busy { worker: Some(worker), runtime: self.runtime.clone() };
        let begun = Instant::now();
        let answer = timeout(deadline, busy.exchange(&task)).await;
        let microseconds = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.config.stats.decoders_microseconds.add(microseconds);
        let stopped = match answer {
            Ok(Ok(reply)) => {
                if let Ok(worker) = busy.done() {
                    self.keep(worker);
                }
                return Ok(reply);
            }
            Ok(Err(error)) => RasterError::Stopped(busy.ended(error).await.to_string()),
            Err(_) => RasterError::late(task.limits()),
        };
        self.config.stats.decoders_stopped.add(1);
        Err(stopped)
    }
}

/// A request, and what goes with it.
struct Task<'a> {
    request: Request,
    behind: Vec<&'a [u8]>,
    files: Vec<&'a SharedFile>,
}

impl Task<'_> {
    fn limits(&self) -> &Limits {
        match &self.request {
            Request::Header { limits, .. }
            | Request::Pixels { limits, .. }
            | Request::ToSrgb { limits, .. } => limits,
        }
    }
}

/// A worker that somebody waits for; killed if nobody does any more.
struct Busy {
    worker: Option<Worker>,
    runtime: Runtime,
}

impl Busy {
    fn link(&mut self) -> io::Result<&mut UnixStream> {
        let worker = self.worker.as_mut();
        worker.map(|worker| &mut worker.link).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    async fn exchange(&mut self, task: &Task<'_>) -> io::Result<Reply> {
        let files: Vec<_> = task.files.iter().map(|file| file.as_fd()).collect();
        let link = self.link()?;
        send(link, &task.request, &task.behind, &files).await?;
        receive(link).await
    }

    /// The worker, which has answered.
    fn done(mut self) -> io::Result<Worker> {
        self.worker.take().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Why it has no answer: what it ended with, if it has.
    async fn ended(mut self, error: io::Error) -> io::Error {
        let Some(mut worker) = self.worker.take() else { return error };
        let wait = self.runtime.spawn_blocking(move || {
            // It may just be on its way out, and says more than the signal from here.
            let mut status = worker.child.try_wait();
            for _ in 0..20 {
                if !matches!(status, Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
                status = worker.child.try_wait();
            }
            if matches!(status, Ok(None)) {
                let _ = worker.child.kill();
                let _ = worker.child.wait();
            }
            status
        });
        match wait.await {
            Ok(Ok(Some(status))) => io::Error::other(last_words(status)),
            _ => io::Error::other(format!("it made no sense ({error})")),
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        let _ = worker.child.kill();
        self.runtime.spawn_blocking(move || worker.child.wait());
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        for worker in idle.drain(..) {
            drop(Busy { worker: Some(worker), runtime: self.runtime.clone() });
        }
    }
}

/// What the end of a worker means.
fn last_words(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGABRT) => "it wanted more memory than its header said".to_owned(),
        Some(libc::SIGKILL) => "it was killed, perhaps for want of memory".to_owned(),
        Some(libc::SIGXCPU) => "it took too long".to_owned(),
        Some(signal) => format!("it broke with signal {signal}"),
        None => format!("it ended ({status})"),
    }
}

#[async_trait]
impl Decoders for Workers {
    fn prepare(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.start_ahead();
        }
    }

    fn count(&self, bytes: u64) -> Box<dyn Counted> {
        Box::new(self.config.budget.charge(bytes))
    }

    async fn header(
        &self,
        codec: Codec,
        file: &Pieces,
        limits: &Limits,
    ) -> Result<Parsed, RasterError> {
        let places = |(start, piece): &(u64, Bytes)| (*start, piece.len() as u64);
        let pieces = file.pieces.iter().map(places).collect();
        let request = Request::Header { codec, limits: *limits, size: file.size, pieces };
        let behind = file.pieces.iter().map(|(_, piece)| &piece[..]).collect();
        let task = Task { request, behind, files: Vec::new() };
        match self.ask(task, limits.decode_time).await? {
            Reply::Header(header, picture) => {
                let header = believable(*header).ok_or_else(no_sense)?;
                let picture = picture.believable(&header);
                Ok(Parsed::Header(Box::new(header), picture))
            }
            Reply::Missing(at) if at < file.size => Ok(Parsed::Missing(at)),
            reply => Err(failed(reply)),
        }
    }

    async fn pixels(
        &self,
        codec: Codec,
        source: &Arc<dyn Source>,
        header: &Header,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let no_memory = |error: io::Error| RasterError::NoDecoder(error.to_string());
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let file = SharedFile::new(size(source.size())).map_err(no_memory)?;
        let file = Arc::new(file);
        let take = {
            let file = file.clone();
            move |at: u64, bytes: &[u8]| file.write_at(at, bytes)
        };
        source.copy_to(&take).await.map_err(RasterError::Source)?;
        file.forbid_writing().map_err(no_memory)?;
        let pixels = SharedFile::new(size(header.pixel_bytes())).map_err(no_memory)?;
        let request = Request::Pixels { codec, limits: *limits, header: Box::new(header.clone()) };
        let task = Task { request, behind: Vec::new(), files: vec![&*file, &pixels] };
        match self.ask(task, limits.decode_time).await? {
            // A worker that has not let go of them could still change them.
            Reply::Done => pixels.seal().map(Bytes::from_owner).map_err(|_| no_sense()),
            reply => Err(failed(reply)),
        }
    }

    async fn to_srgb(
        &self,
        profile: &[u8],
        bands: usize,
        samples: Bytes,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let no_memory = |error: io::Error| RasterError::NoDecoder(error.to_string());
        let file = SharedFile::new(samples.len()).map_err(no_memory)?;
        file.write_at(0, &samples).map_err(no_memory)?;
        let (profile, bands) = (profile.to_vec(), u8::try_from(bands).unwrap_or(u8::MAX));
        let request = Request::ToSrgb { profile, bands, limits: *limits };
        let task = Task { request, behind: Vec::new(), files: vec![&file] };
        match self.ask(task, limits.decode_time).await? {
            Reply::Done => file.seal().map(Bytes::from_owner).map_err(|_| no_sense()),
            reply => Err(failed(reply)),
        }
    }
}

fn failed(reply: Reply) -> RasterError {
    match reply {
        Reply::Unsupported(why) => RasterError::Unsupported(printable(&why)),
        Reply::Corrupt(why) => RasterError::Corrupt(printable(&why)),
        Reply::Ready(_) | Reply::Header(..) | Reply::Missing(_) | Reply::Done => no_sense(),
    }
}

fn no_sense() -> RasterError {
    RasterError::Stopped("its answer made no sense".to_owned())
}
