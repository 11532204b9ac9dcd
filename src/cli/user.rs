//! `anteroom user …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::Failure;
use super::bulk;
use super::number::{NumberView, numbers_text};
use super::output::{Output, fields, note, table};
use crate::admin::{Administrator, BulkAction, ChangedUserView, EnabledView, Mail, Mailed, NewPinView, UserView};
use crate::credentials::{Identity, Page, UserChange, UserDetails};
use crate::words::answer::LobbyPolicy;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give a user a conference ID and a PIN; the PIN is shown now and never again
    Enable {
        identity: Identity,
        /// The name that people read
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Where mails to this user go
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
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
    /// One user, with the numbers to call
    Show { identity: Identity },
    /// Refuse a user's conference IDs and PIN from now on
    Disable {
        identity: Identity,
        #[command(flatten)]
        mail: MailArguments,
    },
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
    ResetConferenceId {
        identity: Identity,
        #[command(flatten)]
        mail: MailArguments,
    },
    /// Send conference ID and numbers by e-mail, never the PIN
    SendInfo {
        identity: Identity,
        /// Another address than the user's own
        #[arg(long, value_name = "ADDRESS")]
        send_email_to: Option<String>,
    },
    /// Enable, or reset the PINs of, everybody in a CSV file; each line has its own result
    ///
    /// The first line names the columns: identity, and where wanted name, email, send_email_to.
    Bulk {
        action: BulkArgument,
        /// The CSV file, or - for standard input
        file: PathBuf,
        /// Whether each gets an e-mail [default: as the settings say]
        #[arg(long, value_name = "true|false")]
        send_email: Option<bool>,
    },
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
    /// Where mails to this user go, or none
    #[arg(long, value_name = "ADDRESS|none")]
    email: Option<String>,
    /// The dial-in number that this user's mails and invitations name first, or default
    #[arg(long, value_name = "NUMBER|default")]
    number: Option<String>,
}

impl ChangeArguments {
    async fn change(self, administrator: &Administrator<'_>) -> Result<UserChange, Failure> {
        let number = match self.number.as_deref() {
            None => None,
            Some("default") => Some(None),
            Some(number) => Some(Some(administrator.number(number).await?.key)),
        };
        Ok(UserChange {
            name: self.name,
            email: self.email.map(|email| Some(email).filter(|email| email != "none")),
            number,
            allow_anonymous_start: self.allow_anonymous_start,
            lobby_policy: self.lobby_policy.map(Into::into),
        })
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BulkArgument {
    Enable,
    ResetPin,
}

impl From<BulkArgument> for BulkAction {
    fn from(argument: BulkArgument) -> BulkAction {
        match argument {
            BulkArgument::Enable => BulkAction::Enable,
            BulkArgument::ResetPin => BulkAction::ResetPin,
        }
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
            Command::Enable { identity, name, email, mail } => {
                let details = UserDetails { name, email };
                let enabled = administrator.enable_user(&identity, &details, &mail.into()).await?;
                output.show(&enabled, |enabled| match enabled {
                    EnabledView::New(new) => new_pin_text(new),
                    EnabledView::Already(user) => user_text(user),
                });
                match enabled {
                    EnabledView::New(new) => note(&shown_once(&new.mailed)),
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
            Command::Show { identity } => {
                let user = administrator.show_user(&identity).await?;
                let numbers = administrator.numbers_of(&identity).await?;
                let shown = UserWithNumbers { user, numbers: numbers.iter().map(NumberView::from).collect() };
                output.show(&shown, |shown| format!("{}\n{}", user_text(&shown.user), numbers_text(&shown.numbers)));
            }
            Command::Disable { identity, mail } => {
                show_changed(&administrator.disable_user(&identity, &mail.into()).await?, output);
            }
            Command::Set { identity, change } => {
                let change = change.change(administrator).await?;
                output.show(&administrator.change_user(&identity, &change).await?, user_text);
            }
            Command::ResetPin { identity, mail } => {
                let new = administrator.reset_pin(&identity, &mail.into()).await?;
                output.show(&new, new_pin_text);
                note(&shown_once(&new.mailed));
            }
            Command::ResetConferenceId { identity, mail } => {
                show_changed(&administrator.reset_conference_id(&identity, &mail.into()).await?, output);
            }
            Command::SendInfo { identity, send_email_to } => {
                let mailed = administrator.send_info(&identity, send_email_to.as_deref()).await?;
                output.show(&mailed, |mailed| fields(&[("mailed_to", mailed.mailed_to.clone().unwrap_or_default())]));
            }
            Command::Bulk { action, file, send_email } => {
                bulk::run(administrator, action.into(), &file, send_email, output).await?;
            }
        }
        Ok(())
    }
}

/// What `user show` shows.
#[derive(Serialize)]
struct UserWithNumbers {
    #[serde(flatten)]
    user: UserView,
    numbers: Vec<NumberView>,
}

fn show_changed(changed: &ChangedUserView, output: &Output) {
    output.show(changed, |changed| user_text(&changed.user));
    match &changed.mailed {
        Mailed { mailed_to: Some(to), .. } => note(&format!("A mail to {to} is on its way.")),
        Mailed { not_mailed, .. } => note(&format!("No mail goes out: {}.", not_mailed.as_deref().unwrap_or_default())),
    }
}

/// What to do with a PIN on the screen.
fn shown_once(mailed: &Mailed) -> String {
    match mailed {
        Mailed { mailed_to: Some(to), .. } => {
            format!("The PIN is shown this once. A mail with it to {to} is on its way.")
        }
        Mailed { not_mailed, .. } => format!(
            "The PIN is shown this once, and no mail goes out: {}. Pass it on by a way that only its owner reads.",
            not_mailed.as_deref().unwrap_or_default()
        ),
    }
}

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
        ("email", or_none(user.email.as_deref())),
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
