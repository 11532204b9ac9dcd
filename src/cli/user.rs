//! `anteroom user …`

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::output::{Output, fields, note, table};
use crate::admin::{Administrator, EnabledView, Mail, NewPinView, UserView};
use crate::credentials::{Identity, Page, UserChange};
use crate::words::answer::LobbyPolicy;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give a user a conference ID and a PIN; the PIN is shown now and never again
    Enable {
        identity: Identity,
        /// The name that people read
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        #[command(flatten)]
        mail: MailArguments,
    },
    /// All users, or those that are searched for
    List {
        /// In the identity, the name or the conference ID
        #[arg(long)]
        search: Option<String>,
        /// Begin after this identity
        #[arg(long, value_name = "IDENTITY")]
        after: Option<String>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Also users who are disabled
        #[arg(long)]
        all: bool,
    },
    /// One user
    Show { identity: Identity },
    /// Refuse a user's conference ID and PIN from now on
    Disable { identity: Identity },
    /// Change what holds for one user's meetings
    Set {
        identity: Identity,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Make a new PIN; the old one is wrong from now on
    ResetPin {
        identity: Identity,
        #[command(flatten)]
        mail: MailArguments,
    },
    /// Make a new conference ID; the old one is refused from now on
    ResetConferenceId { identity: Identity },
    /// Send conference ID and numbers by e-mail, never the PIN
    SendInfo { identity: Identity },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ChangeArguments {
    /// Whether the first caller starts the meeting, without a PIN
    #[arg(long, value_name = "true|false")]
    allow_anonymous_start: Option<bool>,
    /// Who is let into a started meeting
    #[arg(long)]
    lobby_policy: Option<LobbyPolicyArgument>,
    /// The name that people read
    #[arg(long)]
    name: Option<String>,
}

impl From<ChangeArguments> for UserChange {
    fn from(arguments: ChangeArguments) -> UserChange {
        let ChangeArguments { allow_anonymous_start, lobby_policy, name } = arguments;
        UserChange { name, allow_anonymous_start, lobby_policy: lobby_policy.map(Into::into), ..UserChange::default() }
    }
}

#[derive(Debug, Args)]
pub struct MailArguments {
    /// Whether the user gets an e-mail [default: as the settings say]
    #[arg(long, value_name = "true|false")]
    send_email: Option<bool>,
    /// Another address than the user's own
    #[arg(long, value_name = "ADDRESS")]
    send_email_to: Option<String>,
}

impl From<MailArguments> for Mail {
    fn from(arguments: MailArguments) -> Mail {
        Mail { send: arguments.send_email, to: arguments.send_email_to }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LobbyPolicyArgument {
    /// A started meeting takes everybody in
    Open,
    /// Each caller waits until somebody in the meeting admits him
    WaitForAdmission,
}

impl From<LobbyPolicyArgument> for LobbyPolicy {
    fn from(argument: LobbyPolicyArgument) -> LobbyPolicy {
        match argument {
            LobbyPolicyArgument::Open => LobbyPolicy::Open,
            LobbyPolicyArgument::WaitForAdmission => LobbyPolicy::WaitForAdmission,
        }
    }
}

impl Command {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        match self {
            Command::Enable { identity, name, mail } => {
                let enabled = administrator.enable_user(&identity, &name, &mail.into()).await?;
                output.show(&enabled, |enabled| match enabled {
                    EnabledView::New(new) => new_pin_text(new),
                    EnabledView::Already(user) => user_text(user),
                });
                match enabled {
                    EnabledView::New(_) => note(SHOWN_ONCE),
                    EnabledView::Already(_) => {
                        note(&format!("{identity} was enabled before; nothing changed (reset-pin makes a new PIN)"));
                    }
                }
            }
            Command::List { search, after, limit, all } => {
                // One more than asked for tells whether there are more.
                let page = Page { search, after, limit: limit.saturating_add(1), disabled: all };
                let mut users = administrator.list_users(&page).await?;
                let shown = usize::try_from(limit).unwrap_or(usize::MAX);
                let more = users.len() > shown;
                users.truncate(shown);
                output.show(&users, |users| users_text(users));
                if let (true, Some(last)) = (more, users.last()) {
                    note(&format!("there are more: --after {}", last.identity));
                }
            }
            Command::Show { identity } => output.show(&administrator.show_user(&identity).await?, user_text),
            Command::Disable { identity } => output.show(&administrator.disable_user(&identity).await?, user_text),
            Command::Set { identity, change } => {
                output.show(&administrator.change_user(&identity, &change.into()).await?, user_text);
            }
            Command::ResetPin { identity, mail } => {
                output.show(&administrator.reset_pin(&identity, &mail.into()).await?, new_pin_text);
                note(SHOWN_ONCE);
            }
            Command::ResetConferenceId { identity } => {
                output.show(&administrator.reset_conference_id(&identity).await?, user_text);
            }
            Command::SendInfo { identity } => administrator.send_info(&identity).await?,
        }
        Ok(())
    }
}

const SHOWN_ONCE: &str = "The PIN is shown this once. Pass it on by a way that only its owner reads.";

fn new_pin_text(new: &NewPinView) -> String {
    fields(&[
        ("identity", new.identity.clone()),
        ("conference_id", new.conference_id.clone()),
        ("pin", new.pin.expose().to_owned()),
    ])
}

fn user_text(user: &UserView) -> String {
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    fields(&[
        ("identity", user.identity.clone()),
        ("name", user.name.clone()),
        ("enabled", user.enabled.to_string()),
        ("conference_id", or_none(user.conference_id.as_deref())),
        ("pin", or_none(user.pin)),
        ("pin_set_at", or_none(user.pin_set_at.as_deref())),
        ("allow_anonymous_start", user.allow_anonymous_start.to_string()),
        ("lobby_policy", user.lobby_policy.to_owned()),
        ("created_at", user.created_at.clone()),
    ])
}

fn users_text(users: &[UserView]) -> String {
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            [
                user.identity.clone(),
                user.conference_id.clone().unwrap_or_else(|| "disabled".to_owned()),
                user.pin.unwrap_or_default().to_owned(),
                if user.allow_anonymous_start { "anybody" } else { "by PIN" }.to_owned(),
                user.lobby_policy.to_owned(),
                user.name.clone(),
            ]
        })
        .collect();
    table(["IDENTITY", "CONFERENCE ID", "PIN", "STARTS", "LOBBY", "NAME"], &rows, "no users")
}
