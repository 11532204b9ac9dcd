//! `anteroom outbox …`: mails to users.

use clap::{Subcommand, ValueEnum};

use super::Failure;
use super::output::{Output, table};
use crate::admin::{Administrator, MailView};
use crate::credentials::{MailKey, MailPage, MailState};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mails, the newest first
    List {
        #[arg(long)]
        state: Option<StateArgument>,
        /// In the address or the user's identity
        #[arg(long)]
        search: Option<String>,
        /// Begin below this key
        #[arg(long, value_name = "KEY")]
        before: Option<MailKey>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Send one now that waits or was given up
    Retry { key: MailKey },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateArgument {
    Queued,
    Sent,
    GivenUp,
}

impl From<StateArgument> for MailState {
    fn from(argument: StateArgument) -> MailState {
        match argument {
            StateArgument::Queued => MailState::Queued,
            StateArgument::Sent => MailState::Sent,
            StateArgument::GivenUp => MailState::GivenUp,
        }
    }
}

impl Command {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let mails = match self {
            Command::List { state, search, before, limit } => {
                let page = MailPage { search, state: state.map(Into::into), before, limit };
                administrator.outbox(&page).await?
            }
            Command::Retry { key } => vec![administrator.retry_mail(key).await?],
        };
        output.show(&mails, |mails| mails_text(mails));
        Ok(())
    }
}

fn mails_text(mails: &[MailView]) -> String {
    let row = |mail: &MailView| {
        let when = mail.ended_at.clone().or_else(|| mail.next_at.as_ref().map(|next| format!("next {next}")));
        [
            mail.key.to_string(),
            mail.created_at.clone(),
            mail.mail.to_owned(),
            mail.to.clone(),
            mail.state.to_owned(),
            mail.attempts.to_string(),
            when.unwrap_or_default(),
            mail.last_error.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = mails.iter().map(row).collect();
    table(["KEY", "SINCE", "MAIL", "TO", "STATE", "TRIES", "ENDED", "WHY"], &rows, "no mails")
}
