//! The texts of the mails, and the organization's own in their place.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::flash::Flash;
use super::form::Form;
use super::frame::{Frame, Place};
use super::trouble::Trouble;
use super::visitor::{Administrators, Visitor};
use super::{Console, page, words};
use crate::admin::{MailTextView, mail_kind};
use crate::credentials::MailKind;
use crate::mail::letter::Part;

const PATH: &str = "/settings/mail-texts";

pub fn routes() -> Router<Console> {
    Router::new().route(PATH, get(list)).route("/settings/mail-texts/{mail}/{part}", get(show).post(set))
}

#[derive(Template)]
#[template(path = "mail_texts.html")]
struct MailTextsPage {
    frame: Frame,
    texts: Vec<MailTextView>,
}

async fn list(State(console): State<Console>, Administrators(visitor): Administrators) -> Result<Response, Trouble> {
    let texts = visitor.administrator(&console.site).mail_texts().await?;
    let frame = console.frame(&visitor, Place::Settings, PATH).await;
    page(&MailTextsPage { frame, texts })
}

#[derive(Template)]
#[template(path = "mail_text.html")]
struct MailTextPage {
    frame: Frame,
    text: MailTextView,
    /// What was typed, where it was refused.
    typed: String,
}

fn known(mail: &str, part: &str) -> Result<(MailKind, Part), Trouble> {
    let part = Part::ALL.into_iter().find(|known| known.name() == part).ok_or_else(Trouble::nothing_here)?;
    Ok((mail_kind(mail).map_err(|_| Trouble::nothing_here())?, part))
}

async fn show(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path((mail, part)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let (kind, part) = known(&mail, &part)?;
    text_page(&console, &visitor, kind, part, None).await
}

async fn text_page(
    console: &Console,
    visitor: &Visitor,
    kind: MailKind,
    part: Part,
    refused: Option<(String, String)>,
) -> Result<Response, Trouble> {
    let text = visitor.administrator(&console.site).mail_text(kind, part).await?;
    let path = format!("{PATH}/{}/{}", kind.name(), part.name());
    let mut frame = console.frame(visitor, Place::Settings, &path).await;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (typed, why) = refused.unzip();
    frame.flashes.extend(why.map(Flash::refused));
    let typed = typed.unwrap_or_else(|| text.text.clone());
    Ok((status, page(&MailTextPage { frame, text, typed })?).into_response())
}

#[derive(Debug, Deserialize)]
struct Typed {
    text: String,
    /// Which button was pressed: to save, or to take the built-in text again.
    #[serde(default)]
    built_in: String,
}

async fn set(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path((mail, part)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, Trouble> {
    let (kind, part) = known(&mail, &part)?;
    // Browsers end lines of a form as mails do; the store keeps them plain.
    let text = typed.text.replace("\r\n", "\n");
    let own = typed.built_in.is_empty().then_some(text.as_str());
    match visitor.administrator(&console.site).set_mail_text(kind, part, own).await {
        Ok(_) if own.is_some() => {
            Ok(console.say(&visitor, PATH, Flash::done("The text is saved. It holds for mails from now on.")))
        }
        Ok(_) => Ok(console.say(&visitor, PATH, Flash::done("The built-in text holds again."))),
        Err(error) => text_page(&console, &visitor, kind, part, Some((text, error.to_string()))).await,
    }
}
