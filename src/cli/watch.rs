//! `anteroom budget …` and `anteroom audit`: what happened, and what stands against whom.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::{Output, fields, table};
use crate::admin::{Administrator, AuditView, BudgetView};
use crate::credentials::{AuditKey, AuditPage, ClearBudgets, Identity};

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
