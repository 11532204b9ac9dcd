//! `anteroom settings …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::output::{Output, table};
use crate::admin::{Administrator, MailTextView, SettingView, mail_kind};
use crate::mail::Part;
use crate::mail::template::TEMPLATE_BYTES_MAX;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All settings
    Show,
    /// Change one, such as pin_length 6
    Set { key: String, value: String },
    /// Which mails there are, and which of their texts are your own
    MailTexts,
    /// Show a mail's text, or put your own in its place
    MailText(MailTextArguments),
}

#[derive(Debug, Args)]
pub struct MailTextArguments {
    /// enabled, pin-reset, conference-id-changed, conference-info or disabled
    mail: String,
    /// subject, text or html
    #[arg(value_parser = part)]
    part: Part,
    /// A file with your own text; {{name}} and the other places are filled in
    #[arg(long, value_name = "FILE", conflicts_with = "built_in")]
    from: Option<PathBuf>,
    /// Back to the text that ships with the program
    #[arg(long)]
    built_in: bool,
}

fn part(name: &str) -> Result<Part, String> {
    Part::named(name).ok_or_else(|| "write subject, text or html".to_owned())
}

impl Command {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let settings = match self {
            Command::Show => administrator.settings().await?,
            Command::Set { key, value } => administrator.set_setting(&key, &value).await?,
            Command::MailTexts => {
                output.show(&administrator.mail_texts().await?, |texts| texts_text(texts));
                return Ok(());
            }
            Command::MailText(arguments) => return arguments.run(administrator, output).await,
        };
        output.show(&settings, |settings| settings_text(settings));
        Ok(())
    }
}

impl MailTextArguments {
    async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let kind = mail_kind(&self.mail)?;
        let text = match &self.from {
            Some(file) => {
                let refuse = |why: String| Failure::other(format!("{}: {why}", file.display()));
                let length = std::fs::metadata(file).map_err(|error| refuse(error.to_string()))?.len();
                if usize::try_from(length).is_ok_and(|length| length <= TEMPLATE_BYTES_MAX) {
                    let text = std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
                    administrator.set_mail_text(kind, self.part, Some(&text)).await?
                } else {
                    return Err(refuse(format!("a mail's text has up to {TEMPLATE_BYTES_MAX} bytes")));
                }
            }
            None if self.built_in => administrator.set_mail_text(kind, self.part, None).await?,
            None => administrator.mail_text(kind, self.part).await?,
        };
        output.show(&text, |text| format!("{}\n", text.text.trim_end()));
        Ok(())
    }
}

fn texts_text(texts: &[MailTextView]) -> String {
    let row = |text: &MailTextView| {
        let places: Vec<_> = text.places.iter().map(|place| format!("{{{{{place}}}}}")).collect();
        let whose = if text.own { "your own" } else { "built in" };
        [text.mail.to_owned(), text.part.to_owned(), whose.to_owned(), places.join(" ")]
    };
    table(["MAIL", "PART", "TEXT", "PLACES"], &texts.iter().map(row).collect::<Vec<_>>(), "no mails")
}

fn settings_text(settings: &[SettingView]) -> String {
    let row = |setting: &SettingView| [setting.key.to_owned(), setting.value.clone(), setting.default.clone()];
    table(["SETTING", "VALUE", "DEFAULT"], &settings.iter().map(row).collect::<Vec<_>>(), "no settings")
}
