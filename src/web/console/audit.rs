//! Who did what.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::frame::{Frame, Place};
use super::paging::{self, Turns};
use super::trouble::Trouble;
use super::visitor::Operators;
use super::{Console, optional, page, words};
use crate::admin::AuditView;
use crate::credentials::{AuditKey, AuditPage};

pub fn routes() -> Router<Console> {
    Router::new().route("/audit", get(list))
}

/// What the lists that go back in time are asked.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub search: String,
    pub before: Option<u64>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditListPage {
    frame: Frame,
    search: String,
    entries: Vec<AuditView>,
    next: Option<String>,
    first: Option<String>,
}

async fn list(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let search = asked.search.trim().to_owned();
    let rows = AuditPage { search: optional(&search), before: asked.before.map(AuditKey), limit: paging::ASKED };
    let mut entries = visitor.administrator(&console.site).audit(&rows).await?;
    let Turns { next, first } =
        paging::turn(&mut entries, "/audit", &search, "before", asked.before.is_none(), |entry| entry.key.to_string());
    let frame = console.frame(&visitor, Place::Audit, "/audit").await;
    page(&AuditListPage { frame, search, entries, next, first })
}
