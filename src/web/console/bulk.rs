//! Many users from a list. Each line costs a hash, so the work goes on in the background; the page looks in until it is
//! done. The new PINs are shown once, to whoever started it, and forgotten; the other results stay for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::flash::Flash;
use super::form::Form;
use super::frame::{Frame, Place};
use super::sending::Sending;
use super::trouble::Trouble;
use super::visitor::{Administrators, Visitor};
use super::{Console, page, words};
use crate::admin::bulk::{BULK_BYTES_MAX, BULK_LINES_MAX, BulkAction, BulkLine, BulkList, BulkOutcome};

/// A form's text is up to three times as long as what it says.
const BODY_BYTES_MAX: usize = 3 * BULK_BYTES_MAX + 4_096;

/// How long results stay.
const KEPT: Duration = Duration::from_secs(30 * 60);

/// Lists at once, running and kept: each may hold some megabytes.
const LISTS_MAX: usize = 8;

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/users/bulk", get(ask).post(start).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)))
        .route("/users/bulk/{number}", get(look))
}

/// The lists that are worked on, or were a short time ago.
#[derive(Default)]
pub struct Lists(Mutex<HashMap<u64, Arc<Work>>>);

struct Work {
    /// The sign-in that started it; nobody else sees it.
    session: String,
    since: Instant,
    action: BulkAction,
    total: usize,
    finished: AtomicUsize,
    lines: Mutex<Option<Vec<BulkLine>>>,
}

impl Lists {
    /// `None`: too many are there already.
    fn add(&self, session: &str, action: BulkAction, total: usize) -> Option<(u64, Arc<Work>)> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|_, work| work.since.elapsed() < KEPT || !work.is_over());
        if lists.len() >= LISTS_MAX {
            // Results that have been there longest make room; running ones don't.
            let over = lists.iter().filter(|(_, work)| work.is_over());
            let oldest = over.min_by_key(|(_, work)| work.since).map(|(number, _)| *number)?;
            lists.remove(&oldest);
        }
        let number = lists.keys().max().map_or(1, |last| last.saturating_add(1));
        let work = Arc::new(Work {
            session: session.to_owned(),
            since: Instant::now(),
            action,
            total,
            finished: AtomicUsize::new(0),
            lines: Mutex::new(None),
        });
        lists.insert(number, work.clone());
        Some((number, work))
    }

    fn find(&self, number: u64, session: &str) -> Option<Arc<Work>> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(&number).filter(|work| work.session == session).cloned()
    }
}

impl Work {
    fn is_over(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[derive(Debug, Default, Deserialize)]
struct Typed {
    list: String,
    action: String,
    #[serde(default)]
    send: String,
}

#[derive(Template)]
#[template(path = "users_bulk.html")]
struct AskPage {
    frame: Frame,
    typed: Typed,
    sending: Sending,
    lines_max: usize,
}

async fn ask(State(console): State<Console>, Administrators(visitor): Administrators) -> Result<Response, Trouble> {
    ask_page(&console, &visitor, Typed::default(), None).await
}

async fn ask_page(
    console: &Console,
    visitor: &Visitor,
    typed: Typed,
    refused: Option<String>,
) -> Result<Response, Trouble> {
    let sending = Sending::of(console).await?;
    let mut frame = console.frame(visitor, Place::Users, "/users/bulk").await;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    frame.flashes.extend(refused.map(Flash::refused));
    Ok((status, page(&AskPage { frame, typed, sending, lines_max: BULK_LINES_MAX })?).into_response())
}

async fn start(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Form(typed): Form<Typed>,
) -> Result<Response, Trouble> {
    let action = if typed.action == "reset-pin" { BulkAction::ResetPin } else { BulkAction::Enable };
    let list = match BulkList::read(typed.list.as_bytes()) {
        Ok(list) if list.is_empty() => {
            let why = "the list has a heading, and no users below it".to_owned();
            return ask_page(&console, &visitor, typed, Some(why)).await;
        }
        Ok(list) => list,
        Err(error) => return ask_page(&console, &visitor, typed, Some(error.to_string())).await,
    };
    let Some((number, work)) = console.lists.add(&visitor.csrf, action, list.len()) else {
        let why = "other lists are being worked on: wait until they are done".to_owned();
        return ask_page(&console, &visitor, typed, Some(why)).await;
    };
    let send = typed.send.parse().ok();
    let site = console.site.clone();
    tokio::spawn(async move {
        let done = |finished| work.finished.store(finished, Ordering::Relaxed);
        let lines = visitor.administrator(&site).bulk(list, action, send, done).await;
        *work.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
    });
    Ok(Redirect::to(&format!("/users/bulk/{number}")).into_response())
}

/// A line of the results.
struct Line {
    line: u64,
    identity: String,
    refused: bool,
    text: String,
    conference_id: String,
    pin: Option<crate::admin::ShownOnce>,
}

impl Line {
    /// As it is shown, this one time.
    fn pin(&self) -> &str {
        self.pin.as_ref().map_or("", |pin| pin.expose())
    }
}

#[derive(Template)]
#[template(path = "users_bulk_result.html")]
struct ResultPage {
    frame: Frame,
    title: &'static str,
    summary: String,
    running: bool,
    finished: usize,
    total: usize,
    has_pins: bool,
    lines: Vec<Line>,
}

async fn look(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(number): Path<u64>,
) -> Result<Response, Trouble> {
    let work = console.lists.find(number, &visitor.csrf).ok_or_else(Trouble::nothing_here)?;
    let frame = console.frame(&visitor, Place::Users, "/users/bulk/result").await;
    let finished = work.finished.load(Ordering::Relaxed);
    let lines: Option<Vec<Line>> = {
        let mut lines = work.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // The PINs leave with this page.
        lines.as_mut().map(|lines| lines.iter_mut().map(shown).collect())
    };
    let running = lines.is_none();
    let lines = lines.unwrap_or_default();
    let refused = lines.iter().filter(|line| line.refused).count();
    let (doing, did) = match work.action {
        BulkAction::Enable => ("Users are being enabled", "Users were enabled"),
        BulkAction::ResetPin => ("PINs are being reset", "PINs were reset"),
    };
    let summary = if running {
        "You may stay here: the results, with the new PINs, are shown when all lines are done.".to_owned()
    } else {
        let done = lines.len().saturating_sub(refused);
        format!("{} done, {refused} not done.", words::counted(done, "line"))
    };
    page(&ResultPage {
        frame,
        title: if running { doing } else { did },
        summary,
        running,
        finished,
        total: work.total,
        has_pins: lines.iter().any(|line| line.pin.is_some()),
        lines,
    })
}

fn shown(line: &mut BulkLine) -> Line {
    let mail = match (&line.mailed.mailed_to, &line.mailed.not_mailed) {
        (Some(to), _) => format!("A mail goes to {to}."),
        (None, Some(why)) => format!("No mail: {why}."),
        (None, None) => String::new(),
    };
    let text = match (&line.error, line.outcome) {
        (Some(error), _) => super::flash::sentence(error),
        (None, BulkOutcome::AlreadyEnabled) => "Enabled before; nothing was changed.".to_owned(),
        (None, _) => mail,
    };
    Line {
        line: line.line,
        identity: line.identity.clone(),
        refused: line.outcome == BulkOutcome::Failed,
        text,
        conference_id: line.conference_id.clone().unwrap_or_default(),
        pin: line.pin.take(),
    }
}
