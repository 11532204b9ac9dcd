//! Mails, and how their sending went.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::audit::Asked;
use super::flash::Flash;
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::paging::{self, Turns};
use super::trouble::Trouble;
use super::visitor::{Administrators, Operators};
use super::{Console, optional, page, words};
use crate::admin::MailView;
use crate::credentials::outbox::WITHDRAWN;
use crate::credentials::{MailKey, MailPage};

pub fn routes() -> Router<Console> {
    Router::new().route("/outbox", get(list)).route("/outbox/{key}/retry", post(retry))
}

struct Shown {
    mail: MailView,
    tone: &'static str,
    state: &'static str,
    stamp_words: &'static str,
    stamp: Option<String>,
    can_retry: bool,
}

impl Shown {
    fn new(mail: MailView) -> Shown {
        let (tone, state, stamp_words, stamp) = match mail.state {
            "sent" => ("ok", "Sent", "", mail.ended_at.clone()),
            "given-up" if mail.last_error.as_deref() == Some(WITHDRAWN) => ("", "Withdrawn", "", mail.ended_at.clone()),
            "given-up" => ("bad", "Given up", "", mail.ended_at.clone()),
            _ if mail.attempts > 0 => ("wait", "Will be tried again", "next at", mail.next_at.clone()),
            _ => ("wait", "Waits", "", None),
        };
        // What had a PIN can't be sent again once it was given up: the PIN is erased.
        let has_pin = matches!(mail.mail, "enabled" | "pin-reset");
        let can_retry = match mail.state {
            "sent" => false,
            "given-up" => !has_pin,
            _ => true,
        };
        Shown { mail, tone, state, stamp_words, stamp, can_retry }
    }
}

#[derive(Template)]
#[template(path = "outbox.html")]
struct OutboxPage {
    frame: Frame,
    search: String,
    mails: Vec<Shown>,
    next: Option<String>,
    first: Option<String>,
}

async fn list(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let search = asked.search.trim().to_owned();
    let rows =
        MailPage { search: optional(&search), state: None, before: asked.before.map(MailKey), limit: paging::ASKED };
    let mut mails = visitor.administrator(&console.site).outbox(&rows).await?;
    let Turns { next, first } =
        paging::turn(&mut mails, "/outbox", &search, "before", asked.before.is_none(), |mail| mail.key.to_string());
    let frame = console.frame(&visitor, Place::Outbox, "/outbox").await;
    let mails = mails.into_iter().map(Shown::new).collect();
    page(&OutboxPage { frame, search, mails, next, first })
}

async fn retry(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<u64>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).retry_mail(MailKey(key)).await;
    Ok(console
        .done(&visitor, "/outbox", outcome, |mail| Flash::done(format!("The mail to {} is tried again.", mail.to))))
}
