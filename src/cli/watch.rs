//! `anteroom calls`, `anteroom alert …`, `anteroom budget …` and `anteroom audit`: what happened, what to look at, and what
//! stands against whom.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::{Output, fields, table};
use crate::admin::{Administrator, AlertView, AuditView, BudgetView, EndedCallView};
use crate::credentials::{
    AlertKey, AlertPage, AuditKey, AuditPage, CallRecordKey, CallRecordPage, ClearBudgets, Identity,
};

#[derive(Debug, Args)]
pub struct CallsArguments {
    /// So many of the newest
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// In the caller's number, the conference ID, the organizer or why it ended
    #[arg(long)]
    search: Option<String>,
    /// Begin below this key
    #[arg(long, value_name = "KEY")]
    before: Option<CallRecordKey>,
}

impl CallsArguments {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let page = CallRecordPage { search: self.search, before: self.before, limit: self.limit };
        output.show(&administrator.ended_calls(&page).await?, |calls| calls_text(calls));
        Ok(())
    }
}

fn calls_text(calls: &[EndedCallView]) -> String {
    let row = |call: &EndedCallView| {
        let of = |name: &str| call.record[name].as_str().unwrap_or_default().to_owned();
        let seconds = format!("{:.0} s", call.record["talked_s"].as_f64().unwrap_or_default());
        let [from, conference_id, organizer, reached, why] =
            ["from", "conference_id", "organizer", "reached", "why"].map(of);
        [call.key.to_string(), call.ended_at.clone(), from, conference_id, organizer, seconds, reached, why]
    };
    let rows: Vec<_> = calls.iter().map(row).collect();
    table(
        ["KEY", "ENDED", "FROM", "CONFERENCE ID", "ORGANIZER", "LASTED", "REACHED", "WHY"],
        &rows,
        "no calls have ended",
    )
}

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// What somebody should look at, the newest first
    List {
        /// Also what somebody has cleared
        #[arg(long)]
        all: bool,
        /// Begin below this key
        #[arg(long, value_name = "KEY")]
        before: Option<AlertKey>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Say that somebody has seen to it; the same again is a new alert
    Clear {
        /// As the list shows it
        key: AlertKey,
    },
}

impl AlertCommand {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let alerts = match self {
            AlertCommand::List { all, before, limit } => {
                administrator.alerts(&AlertPage { cleared: all, before, limit }).await?
            }
            AlertCommand::Clear { key } => vec![administrator.clear_alert(key).await?],
        };
        output.show(&alerts, |alerts| alerts_text(alerts));
        Ok(())
    }
}

fn alerts_text(alerts: &[AlertView]) -> String {
    let row = |alert: &AlertView| {
        let AlertView { key, kind, text, count, at, last_at, cleared_by, .. } = alert.clone();
        let state = cleared_by.map_or_else(|| "open".to_owned(), |who| format!("cleared by {who}"));
        [key.to_string(), at, last_at, count.to_string(), kind, state, text]
    };
    let rows: Vec<_> = alerts.iter().map(row).collect();
    table(["KEY", "SINCE", "LAST", "TIMES", "KIND", "STATE", "WHAT"], &rows, "nothing to look at")
}

#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// The counts that stand, the fullest first
    List,
    /// Forget counts: those of one organizer, of one subject, or all
    Clear(ClearArguments),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ClearArguments {
    /// Everything that counts against the PIN of this user
    #[arg(long, value_name = "IDENTITY")]
    organizer: Option<Identity>,
    /// A caller or a trunk, as the list shows it
    #[arg(long)]
    subject: Option<String>,
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Cleared {
    cleared: u64,
}

impl BudgetCommand {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        match self {
            BudgetCommand::List => output.show(&administrator.budgets().await?, |budgets| budgets_text(budgets)),
            BudgetCommand::Clear(arguments) => {
                let clear = match (&arguments.organizer, &arguments.subject) {
                    (Some(identity), _) => ClearBudgets::Organizer(identity),
                    (None, Some(subject)) => ClearBudgets::Subject(subject),
                    (None, None) => ClearBudgets::All,
                };
                let cleared = Cleared { cleared: administrator.clear_budgets(clear).await? };
                output.show(&cleared, |cleared| fields(&[("cleared", cleared.cleared.to_string())]));
            }
        }
        Ok(())
    }
}

fn budgets_text(budgets: &[BudgetView]) -> String {
    let row = |view: &BudgetView| {
        let count = format!("{} of {}", view.count, view.limit);
        [view.budget.to_owned(), view.subject.clone(), count, view.ends_at.clone()]
    };
    let rows: Vec<_> = budgets.iter().map(row).collect();
    table(["BUDGET", "SUBJECT", "USED", "UNTIL"], &rows, "no wrong entries are counted")
}

#[derive(Debug, Args)]
pub struct AuditArguments {
    /// So many of the newest lines
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// In who, action, subject or detail
    #[arg(long)]
    search: Option<String>,
    /// Begin below this key
    #[arg(long, value_name = "KEY")]
    before: Option<AuditKey>,
}

impl AuditArguments {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let page = AuditPage { search: self.search, before: self.before, limit: self.limit };
        output.show(&administrator.audit(&page).await?, |entries| audit_text(entries));
        Ok(())
    }
}

fn audit_text(entries: &[AuditView]) -> String {
    let row = |entry: &AuditView| {
        let AuditView { key, at, who, from, action, subject, detail } = entry.clone();
        [key.to_string(), at, who, from, action, subject, detail]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(["KEY", "AT", "WHO", "FROM", "ACTION", "SUBJECT", "DETAIL"], &rows, "nothing was done yet")
}
