//! What a user sees of his own: conference ID, numbers, and the meetings that he scheduled. The PIN he can't reset.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::frame::{Frame, Place};
use super::trouble::Trouble;
use super::visitor::Visitor;
use super::{Console, page, words};
use crate::admin::{MeetingView, NumberView, UserView};
use crate::credentials::MeetingPage;

/// As many as one organizer's list shows; who has more schedules from elsewhere.
const MEETINGS: u32 = 200;

pub fn routes() -> Router<Console> {
    Router::new().route("/me", get(show))
}

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    frame: Frame,
    user: UserView,
    numbers: Vec<NumberView>,
    meetings: Vec<MeetingView>,
}

async fn show(State(console): State<Console>, visitor: Visitor) -> Result<Response, Trouble> {
    let identity = visitor.identity(&console.site).await?;
    let administrator = visitor.administrator(&console.site);
    let user = administrator.show_user(&identity).await?;
    let numbers = administrator.numbers_of(&identity).await?.iter().map(NumberView::from).collect();
    let rows = MeetingPage { limit: MEETINGS, ..MeetingPage::default() };
    let meetings = administrator.scheduled_meetings(Some(&identity), &rows).await?.meetings;
    let frame = console.frame(&visitor, Place::Me, "/me").await;
    page(&MePage { frame, user, numbers, meetings })
}
