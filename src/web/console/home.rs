//! How things are, at a glance.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use jiff::Timestamp;

use super::calls::{self, ShownCall};
use super::frame::{Frame, Place};
use super::live::{self, Shown};
use super::trouble::Trouble;
use super::visitor::Visitor;
use super::{Console, page, words};
use crate::admin::MailView;
use crate::credentials::outbox::WITHDRAWN;
use crate::credentials::{MailPage, MailState};
use crate::web::auth::Role;

/// Lines of each list: a glance.
const GLANCE: usize = 6;
const CALLS: u32 = 6;

/// Of the newest mails so many are looked at, and those given up are told for so long: nobody can mark them as seen.
const MAILS: u32 = 50;
const GIVEN_UP_SHOWN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub fn routes() -> Router<Console> {
    Router::new().route("/", get(show))
}

/// Something that somebody should look at.
struct Todo {
    text: String,
    href: &'static str,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    calls: usize,
    waiting: usize,
    running: usize,
    users: u64,
    todo: Vec<Todo>,
    meetings: Vec<Shown>,
    last_calls: Vec<ShownCall>,
}

async fn show(State(console): State<Console>, visitor: Visitor) -> Result<Response, Trouble> {
    if visitor.principal.role < Role::Operator {
        return Ok(Redirect::to("/me").into_response());
    }
    let now = Timestamp::now();
    let administrator = visitor.administrator(&console.site);
    let snapshot = administrator.live(&console.site.live).await?;
    let users = administrator.count_users(None, false).await?;
    let last_calls = calls::last(&console, &visitor, CALLS).await?;
    let todo = todo(&console, &visitor, users).await?;
    let frame = console.frame(&visitor, Place::Home, "/").await;
    page(&HomePage {
        frame,
        calls: snapshot.calls,
        waiting: snapshot.waiting,
        running: snapshot.meetings.iter().filter(|of| of.started).count(),
        users,
        todo,
        meetings: snapshot.meetings.iter().take(GLANCE).map(|of| Shown::new(of, now)).collect(),
        last_calls,
    })
}

async fn todo(console: &Console, visitor: &Visitor, users: u64) -> Result<Vec<Todo>, Trouble> {
    let administrator = visitor.administrator(&console.site);
    let mut todo = Vec::new();
    if users == 0 {
        let text = "Nobody is enabled yet: nobody can hold a meeting.".to_owned();
        todo.push(Todo { text, href: "/users/new", button: "Enable a user" });
    }
    if administrator.numbers().await?.is_empty() {
        let text = "No dial-in number is entered: mails and invitations can't name one.".to_owned();
        todo.push(Todo { text, href: "/numbers", button: "Add a number" });
    }
    let mails = |state| MailPage { state: Some(state), limit: MAILS, ..MailPage::default() };
    let since = console.site.store.now().before(GIVEN_UP_SHOWN).to_string();
    let given_up = administrator.outbox(&mails(MailState::GivenUp)).await?;
    let missed =
        |mail: &&MailView| mail.last_error.as_deref() != Some(WITHDRAWN) && mail.ended_at >= Some(since.clone());
    let given_up = given_up.iter().filter(missed).count();
    if given_up > 0 {
        let text = format!("{} could not be sent in the last seven days.", words::counted(given_up, "mail"));
        todo.push(Todo { text, href: "/outbox", button: "Look" });
    }
    let queued = administrator.outbox(&mails(MailState::Queued)).await?;
    let waiting = queued.iter().filter(|mail| mail.attempts > 0).count();
    if waiting > 0 {
        let text = format!("{} could not be sent so far; the server tries again.", words::counted(waiting, "mail"));
        todo.push(Todo { text, href: "/outbox", button: "Look" });
    }
    Ok(todo)
}
