//! The ways to answer a call that may have to wait.

use std::ffi::OsString;
use std::sync::Arc;

use fuser::{ReplyEmpty, Request};

use super::attend::Call;
use super::caller::Caller;
use super::reply::done;
use super::unfinished::Unfinished;
use crate::fs::{Begun, FileSystem, FsError, Ino, Span};

/// Where calls are answered.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    fs: Arc<FileSystem>,
    unfinished: Arc<Unfinished>,
}

impl Calls {
    pub(super) fn new(fs: Arc<FileSystem>) -> Self {
        Calls { fs, unfinished: Arc::default() }
    }

    /// A call that is dropped where it waits if its program gives up, unless it says itself
    /// that it has begun to change something.
    fn call<T, R, L>(
        &self,
        req: &Request,
        work: impl Future<Output = Result<T, FsError>> + Send + 'static,
        reply: R,
        late: L,
    ) -> Call<T, R, L> {
        let begun = Begun::by(req.pid());
        let work = Box::pin(begun.heard(work));
        let (caller, unfinished) = (Caller::new(req.pid()), self.unfinished.clone());
        Call { caller, begun, unfinished, work, reply, late }
    }

    /// Answers a call at once, as far as nothing is waited for, and the rest in a task.
    pub(super) fn answer<T: Send + 'static>(
        &self,
        (req, span): (&Request, Option<Span>),
        work: impl Future<Output = Result<T, FsError>> + Send + 'static,
        reply: impl FnOnce(Result<T, FsError>) + Send + 'static,
    ) {
        self.call(req, work, ending(span, reply), drop).answer(self.fs.runtime());
    }

    /// Answers a call in a task, since it has to wait.
    pub(super) fn answer_later<T: Send + 'static>(
        &self,
        (req, span): (&Request, Option<Span>),
        work: impl Future<Output = Result<T, FsError>> + Send + 'static,
        reply: impl FnOnce(Result<T, FsError>) + Send + 'static,
    ) {
        self.call(req, work, ending(span, reply), drop).answer_later(self.fs.runtime());
    }

    /// As [`Calls::answer`], of a call that changes what names stand for. If its program
    /// gives up, `late` hears what came of it, and the kernel looks the names up again.
    pub(super) fn change<T: Send + 'static>(
        &self,
        (req, span): (&Request, Option<Span>),
        names: Vec<(Ino, OsString)>,
        work: impl Future<Output = Result<T, FsError>> + Send + 'static,
        reply: impl FnOnce(Result<T, FsError>) + Send + 'static,
        late: impl FnOnce(T) + Send + 'static,
    ) {
        let dirs: Vec<Ino> = names.iter().map(|(parent, _)| *parent).collect();
        let (fs, unfinished) = (self.fs.clone(), self.unfinished.clone());
        let work = async move {
            unfinished.wait(&dirs).await;
            work.await
        };
        let late = move |outcome: Result<T, FsError>| {
            if let Ok(done) = outcome {
                late(done);
            }
            for (parent, name) in names {
                fs.note_outdated(parent, &name);
            }
        };
        self.call(req, work, ending(span, reply), late).answer(self.fs.runtime());
    }

    /// Answers a call that sends what was written: in a task from the start, since that is
    /// read and hashed first, and to its end, whether or not somebody waits for it.
    pub(super) fn send(
        &self,
        (req, span): (&Request, Option<Span>),
        work: impl Future<Output = Result<(), FsError>> + Send + 'static,
        reply: ReplyEmpty,
    ) {
        let call = self.call(req, work, ending(span, |outcome| done(reply, outcome)), drop);
        Call { begun: Begun::already(), ..call }.answer_later(self.fs.runtime());
    }
}

/// A reply with which a call ends in the trace, too.
fn ending<T>(
    mut span: Option<Span>,
    reply: impl FnOnce(Result<T, FsError>),
) -> impl FnOnce(Result<T, FsError>) {
    move |outcome| {
        if let (Some(span), Err(error)) = (&mut span, &outcome) {
            span.tell("error", error.to_string());
        }
        reply(outcome);
        drop(span);
    }
}
