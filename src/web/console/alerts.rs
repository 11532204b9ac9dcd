//! What the server wants somebody to look at, and the counts of wrong entries that stand now.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::flash::{Flash, sentence};
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::paging::{self, Turns};
use super::trouble::Trouble;
use super::visitor::{Administrators, Operators};
use super::{Console, page, words};
use crate::admin::{AlertView, BudgetView};
use crate::credentials::budget::Budget;
use crate::credentials::{AlertKey, AlertPage, ClearBudgets};
use crate::web::auth::Role;

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/alerts", get(list))
        .route("/alerts/{key}/clear", post(clear))
        .route("/alerts/budgets/clear", post(clear_budgets))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    before: Option<u64>,
}

/// An alert in words.
struct Shown {
    what: String,
    more: &'static str,
    about: String,
    alert: AlertView,
}

impl Shown {
    fn new(alert: AlertView) -> Shown {
        match alert.subject.split_once(' ') {
            Some((budget, of_whom)) if alert.kind == "budget-used-up" => Shown {
                what: words::budget(budget).to_owned(),
                more: "All tries are used up. Somebody may be guessing.",
                about: of_whom.to_owned(),
                alert,
            },
            _ => Shown { what: sentence(&alert.text), more: "", about: alert.subject.clone(), alert },
        }
    }
}

/// A count in words.
struct Counted {
    of_whom: String,
    view: BudgetView,
}

impl Counted {
    fn new(view: BudgetView) -> Counted {
        // A PIN that is tried everywhere is counted by its hash, which tells nobody anything.
        let of_whom =
            if view.budget == Budget::SamePin.name() { "All meetings".to_owned() } else { view.subject.clone() };
        Counted { of_whom, view }
    }
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    alerts: Vec<Shown>,
    budgets: Vec<Counted>,
    next: Option<String>,
    first: Option<String>,
}

async fn list(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let rows = AlertPage { cleared: true, before: asked.before.map(AlertKey), limit: paging::ASKED };
    let administrator = visitor.administrator(&console.site);
    let mut alerts = administrator.alerts(&rows).await?;
    let Turns { next, first } =
        paging::turn(&mut alerts, "/alerts", "", "before", asked.before.is_none(), |alert| alert.key.to_string());
    let budgets =
        if visitor.principal.role == Role::Administrator { administrator.budgets().await? } else { Vec::new() };
    let budgets = budgets.into_iter().map(Counted::new).collect();
    let alerts = alerts.into_iter().map(Shown::new).collect();
    let frame = console.frame(&visitor, Place::Alerts, "/alerts").await;
    page(&AlertsPage { frame, alerts, budgets, next, first })
}

async fn clear(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path(key): Path<u64>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).clear_alert(AlertKey(key)).await;
    Ok(console.done(&visitor, "/alerts", outcome, |_| Flash::done("The alert is cleared.")))
}

#[derive(Debug, Deserialize)]
struct Whose {
    subject: String,
}

async fn clear_budgets(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Form(whose): Form<Whose>,
) -> Result<Response, Trouble> {
    let administrator = visitor.administrator(&console.site);
    let outcome = administrator.clear_budgets(ClearBudgets::Subject(&whose.subject)).await;
    Ok(console.done(&visitor, "/alerts", outcome, |_| Flash::done("The count is cleared: all tries are there again.")))
}
