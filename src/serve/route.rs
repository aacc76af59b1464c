//! From a request to its answer.

use std::sync::Arc;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::access;
use super::answer::{Answer, JSON, empty, failure, redirect, refusal, text};
use super::body::AnswerBody;
use super::open::{Node, again_if_changed};
use super::shared::Shared;
use super::target::Target;
use super::{dir, escape, file, gallery, picture};
use crate::fs::{FsError, Kind};

/// Answers a request.
pub(super) async fn answer(shared: Arc<Shared>, asked: Parts) -> Answer {
    shared.counts.request();
    let target = Target::parse(asked.uri.path(), asked.uri.query());
    let mut answer = match &target {
        Ok(target) => match access::check(&shared.config, &asked, target) {
            None => find(&shared, &asked, target).await,
            Some(refused) => refused,
        },
        // Who may not ask is not told more than that.
        Err(_) => match access::check(&shared.config, &asked, &Target::default()) {
            None => refusal(StatusCode::BAD_REQUEST, "This is no path of a file."),
            Some(refused) => refused,
        },
    };
    access::finish(&shared.config, &asked, &mut answer);
    if asked.method == Method::HEAD {
        // The headers say what the body would have been.
        *answer.body_mut() = AnswerBody::Text(None);
    } else if let AnswerBody::Text(Some(text)) = answer.body() {
        shared.counts.sent(text.len() as u64);
    }
    answer
}

async fn find(shared: &Arc<Shared>, asked: &Parts, target: &Target) -> Answer {
    if target.names.is_empty() && target.word("figures").is_some() {
        return figures(shared);
    }
    if target.ends_in_slash
        && let Some(name) = target.word("asset")
    {
        let missing = || refusal(StatusCode::NOT_FOUND, "The gallery has no such part.");
        return gallery::asset(name).unwrap_or_else(missing);
    }
    let outcome = again_if_changed(|| async {
        let node = Node::find(&shared.fs, &target.names).await?;
        let name = target.names.last().map(|name| name.to_string_lossy()).unwrap_or_default();
        match (node.attr.kind, target.ends_in_slash) {
            (Kind::Dir, true) => dir::answer(shared, target, node).await,
            (Kind::Dir, false) => Ok(to_directory(&name, target)),
            (Kind::File, false) => match target.word("tile") {
                Some(what) => picture::answer(asked, target, what, node).await,
                None => file::answer(shared, asked, target, node).await,
            },
            // A file is no directory.
            (Kind::File, true) => Err(FsError::NotFound),
            (Kind::Symlink | Kind::Fifo | Kind::Socket, _) => Ok(empty(StatusCode::FORBIDDEN)),
        }
    });
    outcome.await.unwrap_or_else(|error| failure(&error))
}

/// What was asked and what it cost, as JSON.
fn figures(shared: &Shared) -> Answer {
    let counts = shared.counts.named().map(|(name, count)| format!("\"{name}\": {count}"));
    let program = (shared.figures)();
    let json = format!("{{{}, \"program\": {program}}}\n", counts.join(", "));
    text(StatusCode::OK, JSON, json)
}

/// Leads to where the links of a directory are right.
fn to_directory(name: &str, target: &Target) -> Answer {
    let query = target.raw_query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
    redirect(StatusCode::MOVED_PERMANENTLY, &format!("{}/{query}", escape::link(name)))
}
