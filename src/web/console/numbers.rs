//! Dial-in numbers.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::flash::Flash;
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::trouble::Trouble;
use super::visitor::{Administrators, Operators, Visitor};
use super::{Console, page};
use crate::admin::{NumberChange, NumberView};
use crate::credentials::{NewNumber, NumberKey};

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/numbers", get(list).post(add))
        .route("/numbers/{key}", get(show).post(change))
        .route("/numbers/{key}/default", post(make_default))
        .route("/numbers/{key}/remove", post(remove))
}

/// What was typed, so that a refused form need not be typed again.
#[derive(Debug, Default, Deserialize)]
struct Typed {
    number: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    language: String,
}

#[derive(Template)]
#[template(path = "numbers.html")]
struct NumbersPage {
    frame: Frame,
    numbers: Vec<NumberView>,
    typed: Typed,
}

async fn list(State(console): State<Console>, Operators(visitor): Operators) -> Result<Response, Trouble> {
    list_page(&console, &visitor, Typed::default(), None).await
}

async fn list_page(
    console: &Console,
    visitor: &Visitor,
    typed: Typed,
    refused: Option<String>,
) -> Result<Response, Trouble> {
    let numbers = visitor.administrator(&console.site).numbers().await?;
    let mut frame = console.frame(visitor, Place::Numbers, "/numbers").await;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    frame.flashes.extend(refused.map(Flash::refused));
    Ok((status, page(&NumbersPage { frame, numbers, typed })?).into_response())
}

async fn add(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Form(typed): Form<Typed>,
) -> Result<Response, Trouble> {
    let new = NewNumber {
        number: typed.number.clone(),
        language: typed.language.clone(),
        label: typed.label.clone(),
        is_default: false,
    };
    match visitor.administrator(&console.site).add_number(&new).await {
        Ok(number) => {
            let flash = Flash::done(format!("{} is a dial-in number now.", number.number));
            Ok(console.say(&visitor, "/numbers", flash))
        }
        Err(error) => list_page(&console, &visitor, typed, Some(error.to_string())).await,
    }
}

#[derive(Template)]
#[template(path = "number.html")]
struct NumberPage {
    frame: Frame,
    key: NumberKey,
    typed: Typed,
}

async fn show(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<NumberKey>,
) -> Result<Response, Trouble> {
    let numbers = visitor.administrator(&console.site).numbers().await?;
    let number = numbers.into_iter().find(|number| number.key == key.0).ok_or_else(Trouble::nothing_here)?;
    let typed = Typed { number: number.number, label: number.label, language: number.language };
    let frame = console.frame(&visitor, Place::Numbers, &format!("/numbers/{key}")).await;
    page(&NumberPage { frame, key, typed })
}

async fn change(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<NumberKey>,
    Form(typed): Form<Typed>,
) -> Result<Response, Trouble> {
    let change = NumberChange {
        number: Some(typed.number),
        language: Some(typed.language),
        label: Some(typed.label),
        default: false,
    };
    let outcome = visitor.administrator(&console.site).change_number(key, &change).await;
    let path = if outcome.is_ok() { "/numbers".to_owned() } else { format!("/numbers/{key}") };
    Ok(console.done(&visitor, &path, outcome, |number| Flash::done(format!("{} is saved.", number.number))))
}

async fn make_default(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<NumberKey>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let change = NumberChange { default: true, ..NumberChange::default() };
    let outcome = visitor.administrator(&console.site).change_number(key, &change).await;
    Ok(console.done(&visitor, "/numbers", outcome, |number| {
        Flash::done(format!("{} is the default now: mails and invitations name it first.", number.number))
    }))
}

async fn remove(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<NumberKey>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).remove_number(key).await;
    Ok(console.done(&visitor, "/numbers", outcome, |number| Flash::done(format!("{} is removed.", number.number))))
}
