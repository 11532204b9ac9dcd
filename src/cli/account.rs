//! `anteroom account …` and `anteroom token …`: who signs in to the console and the API.

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::output::{Output, fields, note, table};
use crate::admin::{AccountLinkView, AccountView, Administrator, TokenView, moment};
use crate::credentials::{AccountPage, ApiTokenKey, Identity, NewAccount, NewApiToken, Role, Timestamp};

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Let somebody sign in; prints what stands behind /set-password# of the console's address, once
    Add {
        /// With which he signs in
        name: String,
        #[command(flatten)]
        rights: RightArguments,
    },
    /// Everybody who may sign in
    List {
        /// In the name
        #[arg(long)]
        search: Option<String>,
        /// Begin after this name
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Let somebody choose a new password; the link before does not hold any more
    Link { name: String },
    /// Give somebody another role; whoever is signed in has it from the next page on
    Set {
        name: String,
        #[arg(long)]
        role: RoleArgument,
    },
    /// Sign somebody out everywhere, and refuse the password from now on
    Disable { name: String },
    /// Let a disabled account sign in again
    Enable { name: String },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for a program; it is shown now and never again
    Create {
        /// What it is for
        label: String,
        #[command(flatten)]
        rights: RightArguments,
        /// When it expires, such as 2027-01-01T00:00Z [default: never]
        #[arg(long, value_name = "TIME", value_parser = moment::parse)]
        expires: Option<Timestamp>,
    },
    /// All tokens, the newest first
    List,
    /// Refuse a token from now on
    Revoke {
        /// As the list shows it
        key: ApiTokenKey,
    },
}

#[derive(Debug, Args)]
pub struct RightArguments {
    #[arg(long)]
    role: RoleArgument,
    /// Whose meetings; needed for the role user
    #[arg(long, value_name = "IDENTITY")]
    user: Option<Identity>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleArgument {
    /// Everything
    Administrator,
    /// Looks at and acts on live meetings
    Operator,
    /// Sees himself, plans and starts his own meetings
    User,
}

impl From<RoleArgument> for Role {
    fn from(argument: RoleArgument) -> Role {
        match argument {
            RoleArgument::Administrator => Role::Administrator,
            RoleArgument::Operator => Role::Operator,
            RoleArgument::User => Role::User,
        }
    }
}

impl AccountCommand {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        match self {
            AccountCommand::Add { name, rights: RightArguments { role, user } } => {
                let new = NewAccount { name, role: role.into(), user };
                show_link(&administrator.add_account(&new).await?, output);
            }
            AccountCommand::Link { name } => show_link(&administrator.account_link(&name).await?, output),
            AccountCommand::List { search, after, limit } => {
                let page = AccountPage { search, after, limit };
                output.show(&administrator.accounts(&page).await?, |accounts| accounts_text(accounts));
            }
            AccountCommand::Set { name, role } => {
                output.show(&vec![administrator.change_role(&name, role.into()).await?], |shown| accounts_text(shown));
            }
            AccountCommand::Disable { name } => {
                output.show(&vec![administrator.disable_account(&name, true).await?], |shown| accounts_text(shown));
            }
            AccountCommand::Enable { name } => {
                output.show(&vec![administrator.disable_account(&name, false).await?], |shown| accounts_text(shown));
            }
        }
        Ok(())
    }
}

impl TokenCommand {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        match self {
            TokenCommand::Create { label, rights: RightArguments { role, user }, expires } => {
                let new = NewApiToken { label, role: role.into(), user, expires_at: expires };
                output.show(&administrator.make_token(&new).await?, |new| {
                    fields(&[
                        ("key", new.token.key.to_string()),
                        ("label", new.token.label.clone()),
                        ("role", new.token.role.to_owned()),
                        ("secret", new.secret.expose().to_owned()),
                    ])
                });
                note("The secret is shown this once. Programs send it as: Authorization: Bearer SECRET");
            }
            TokenCommand::List => output.show(&administrator.tokens().await?, |tokens| tokens_text(tokens)),
            TokenCommand::Revoke { key } => {
                output.show(&vec![administrator.revoke_token(key).await?], |tokens| tokens_text(tokens));
            }
        }
        Ok(())
    }
}

fn show_link(link: &AccountLinkView, output: &Output) {
    output.show(link, |link| {
        fields(&[
            ("name", link.account.name.clone()),
            ("role", link.account.role.to_owned()),
            ("link", link.link.expose().to_owned()),
        ])
    });
    note("The link is shown this once, and works once: open /set-password of the console, with #LINK behind it.");
}

fn accounts_text(accounts: &[AccountView]) -> String {
    let row = |account: &AccountView| {
        let may = match (account.disabled, &account.password_set_at) {
            (true, _) => "disabled",
            (false, None) => "no password yet",
            (false, Some(_)) => "signs in",
        };
        let user = account.identity.clone().unwrap_or_default();
        [account.name.clone(), account.role.to_owned(), may.to_owned(), user, account.created_at.clone()]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    table(["NAME", "ROLE", "STATE", "USER", "SINCE"], &rows, "nobody can sign in")
}

fn tokens_text(tokens: &[TokenView]) -> String {
    let row = |token: &TokenView| {
        [
            token.key.to_string(),
            token.label.clone(),
            token.role.to_owned(),
            token.identity.clone().unwrap_or_default(),
            token.made_by.clone(),
            token.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
            token.last_used_at.clone().unwrap_or_else(|| "never".to_owned()),
        ]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    table(["KEY", "LABEL", "ROLE", "USER", "MADE BY", "EXPIRES", "LAST USED"], &rows, "no tokens")
}
