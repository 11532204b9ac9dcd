//! The question before something that can't be taken back.

use askama::Template;
use axum::response::Response;

use super::frame::{Frame, Place};
use super::sending::Sending;
use super::trouble::Trouble;
use super::visitor::Visitor;
use super::{Console, page};

/// What is asked, and what happens on yes.
pub struct Confirmation {
    pub title: String,
    pub lines: Vec<String>,
    /// Where the yes is posted to.
    pub action: String,
    pub button: &'static str,
    pub back: String,
    pub back_name: String,
    /// Where a mail may go with it, and what would be in it.
    pub sending: Option<Sending>,
    pub mails: &'static str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    ask: Confirmation,
}

impl Console {
    pub async fn confirm(&self, visitor: &Visitor, place: Place, ask: Confirmation) -> Result<Response, Trouble> {
        let frame = self.frame(visitor, place, &ask.action).await;
        page(&ConfirmPage { frame, ask })
    }
}
