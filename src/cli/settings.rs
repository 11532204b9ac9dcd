//! `anteroom settings …`

use clap::Subcommand;

use super::Failure;
use super::output::{Output, table};
use crate::admin::{Administrator, SettingView};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All settings
    Show,
    /// Change one, such as pin_length 6
    Set { key: String, value: String },
}

impl Command {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        let settings = match self {
            Command::Show => administrator.settings().await?,
            Command::Set { key, value } => administrator.set_setting(&key, &value).await?,
        };
        output.show(&settings, |settings| settings_text(settings));
        Ok(())
    }
}

fn settings_text(settings: &[SettingView]) -> String {
    let row = |setting: &SettingView| [setting.key.to_owned(), setting.value.clone(), setting.default.clone()];
    table(["SETTING", "VALUE", "DEFAULT"], &settings.iter().map(row).collect::<Vec<_>>(), "no settings")
}
