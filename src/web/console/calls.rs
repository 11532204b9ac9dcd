//! Calls that have ended: how far each came, and why it ended.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use super::audit::Asked;
use super::frame::{Frame, Place};
use super::paging::{self, Turns};
use super::trouble::Trouble;
use super::visitor::{Operators, Visitor};
use super::{Console, optional, page, words};
use crate::credentials::{CallRecordKey, CallRecordPage};

pub fn routes() -> Router<Console> {
    Router::new().route("/calls", get(list))
}

/// A call record as a line of the list.
pub struct ShownCall {
    pub began_at: String,
    pub caller: String,
    pub trunk: String,
    pub conference_id: String,
    pub organizer: String,
    pub reached: String,
    pub why: String,
    pub length: String,
    pub codec: String,
    pub quality: String,
}

impl ShownCall {
    /// Of the JSON that the store keeps, see `observe::record`. What another version left out reads as nothing.
    fn new(record: &Value) -> ShownCall {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| record.get(name).and_then(Value::as_f64).unwrap_or_default();
        let caller = text("from");
        let (lost, received) = (number("packets_lost"), number("packets_received"));
        let expected = lost + received;
        let quality = if expected > 0.0 {
            format!("loss {:.1} %, jitter {:.0} ms", 100.0 * lost / expected, number("jitter_ms"))
        } else {
            String::new()
        };
        ShownCall {
            began_at: text("began_at"),
            caller: if caller.is_empty() { "Withheld".to_owned() } else { caller },
            trunk: text("trunk"),
            conference_id: text("conference_id"),
            organizer: text("organizer"),
            reached: reached(
                record.get("reached").and_then(Value::as_str).unwrap_or_default(),
                record.get("leader").and_then(Value::as_bool).unwrap_or_default(),
            ),
            why: super::flash::sentence(&text("why")),
            // Seconds of a call fit whatever a float can be cut to.
            length: words::seconds(number("talked_s") as i64),
            codec: words::codec(record.get("codec").and_then(Value::as_str)).to_owned(),
            quality,
        }
    }
}

/// How far a call came.
fn reached(token: &str, leader: bool) -> String {
    let place = match token {
        "attendant" => "the attendant",
        "lobby" => "the lobby",
        "meeting" if leader => "the meeting, as the organizer",
        "meeting" => "the meeting",
        _ => return "Was not answered".to_owned(),
    };
    format!("Came as far as {place}")
}

#[derive(Template)]
#[template(path = "calls.html")]
struct CallsPage {
    frame: Frame,
    search: String,
    calls: Vec<ShownCall>,
    next: Option<String>,
    first: Option<String>,
}

/// The newest calls.
pub async fn last(console: &Console, visitor: &Visitor, count: u32) -> Result<Vec<ShownCall>, Trouble> {
    let rows = CallRecordPage { search: None, before: None, limit: count };
    let ended = visitor.administrator(&console.site).ended_calls(&rows).await?;
    Ok(ended.iter().map(|call| ShownCall::new(&call.record)).collect())
}

async fn list(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let search = asked.search.trim().to_owned();
    let rows =
        CallRecordPage { search: optional(&search), before: asked.before.map(CallRecordKey), limit: paging::ASKED };
    let mut ended = visitor.administrator(&console.site).ended_calls(&rows).await?;
    let Turns { next, first } =
        paging::turn(&mut ended, "/calls", &search, "before", asked.before.is_none(), |call| call.key.to_string());
    let calls = ended.iter().map(|call| ShownCall::new(&call.record)).collect();
    let frame = console.frame(&visitor, Place::Calls, "/calls").await;
    page(&CallsPage { frame, search, calls, next, first })
}
