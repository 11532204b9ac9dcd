//! `anteroom number …`

use clap::{Args, Subcommand};

use super::Failure;
use super::output::{Output, table};
pub use crate::admin::NumberView;
use crate::admin::{Administrator, NumberChange};
use crate::credentials::NewNumber;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a number by which callers reach this organization
    Add {
        /// As people read it, such as "+49 30 1234567"
        number: String,
        /// Of the announcements that callers hear there, such as en, de or pt-BR
        #[arg(long, default_value = "en")]
        language: String,
        /// Where it is, such as a town
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
        /// Name it first in mails and invitations
        #[arg(long)]
        default: bool,
    },
    /// All numbers, the default one first
    List,
    /// Change a number
    Set {
        /// The number, or its key as the list shows it
        number: String,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Remove a number; whose mails named it first has the default one
    Remove {
        /// The number, or its key as the list shows it
        number: String,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ChangeArguments {
    /// The number itself
    #[arg(long = "number", value_name = "NUMBER")]
    new_number: Option<String>,
    #[arg(long)]
    language: Option<String>,
    #[arg(long)]
    label: Option<String>,
    /// Name it first in mails and invitations
    #[arg(long)]
    default: bool,
}

impl Command {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let numbers = match self {
            Command::Add { number, language, label, default } => {
                let new = NewNumber { number, language, label, is_default: default };
                vec![administrator.add_number(&new).await?]
            }
            Command::List => administrator.numbers().await?,
            Command::Set { number, change } => {
                let key = administrator.number(&number).await?.key;
                let ChangeArguments { new_number, language, label, default } = change;
                let change = NumberChange { number: new_number, language, label, default };
                vec![administrator.change_number(key, &change).await?]
            }
            Command::Remove { number } => {
                let key = administrator.number(&number).await?.key;
                vec![administrator.remove_number(key).await?]
            }
        };
        output.show(&numbers, |numbers| numbers_text(numbers));
        Ok(())
    }
}

pub fn numbers_text(numbers: &[NumberView]) -> String {
    let row = |number: &NumberView| {
        [
            number.key.to_string(),
            number.number.clone(),
            number.language_name.clone(),
            number.label.clone(),
            if number.default { "default" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = numbers.iter().map(row).collect();
    table(["KEY", "NUMBER", "LANGUAGE", "LABEL", ""], &rows, "no dial-in numbers")
}
