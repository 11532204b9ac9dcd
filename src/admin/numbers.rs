//! Dial-in numbers: by which callers reach this organization.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use crate::credentials::{NewNumber, Number, NumberKey};
use crate::mail::language;

/// A dial-in number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NumberView {
    #[schema(example = 3)]
    pub key: u64,
    #[schema(example = "+49 30 1234567")]
    pub number: String,
    /// Of the announcements that callers hear there (RFC 5646).
    #[schema(example = "de")]
    pub language: String,
    #[schema(example = "German")]
    pub language_name: String,
    #[schema(example = "Berlin")]
    pub label: String,
    /// Named first, for whoever has none of his own.
    pub default: bool,
}

impl From<&Number> for NumberView {
    fn from(number: &Number) -> NumberView {
        NumberView {
            key: number.key.0,
            number: number.number.clone(),
            language: number.language.clone(),
            language_name: language::name(&number.language).to_owned(),
            label: number.label.clone(),
            default: number.is_default,
        }
    }
}

/// What of a number is to change. `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberChange {
    pub number: Option<String>,
    pub language: Option<String>,
    pub label: Option<String>,
    /// True makes it the default one. (Another one takes that from it, never nobody.)
    pub default: bool,
}

impl Administrator<'_> {
    /// The default one first.
    pub async fn numbers(&self) -> Result<Vec<NumberView>, AdminError> {
        Ok(self.store().numbers().await?.iter().map(NumberView::from).collect())
    }

    pub async fn add_number(&self, new: &NewNumber) -> Result<NumberView, AdminError> {
        Ok(NumberView::from(&self.store().add_number(self.actor(), new).await?))
    }

    pub async fn change_number(&self, key: NumberKey, change: &NumberChange) -> Result<NumberView, AdminError> {
        if *change == NumberChange::default() {
            return Err(AdminError::NothingToChange);
        }
        let before = self.number(&key.to_string()).await?;
        let new = NewNumber {
            number: change.number.clone().unwrap_or(before.number),
            language: change.language.clone().unwrap_or(before.language),
            label: change.label.clone().unwrap_or(before.label),
            is_default: change.default || before.is_default,
        };
        Ok(NumberView::from(&self.store().change_number(self.actor(), key, &new).await?))
    }

    pub async fn remove_number(&self, key: NumberKey) -> Result<NumberView, AdminError> {
        Ok(NumberView::from(&self.store().remove_number(self.actor(), key).await?))
    }

    /// A number by itself, in any spelling, or by its key.
    pub async fn number(&self, which: &str) -> Result<Number, AdminError> {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let numbers = self.store().numbers().await?;
        let wanted = digits(which);
        let by_number = numbers.iter().find(|number| !wanted.is_empty() && digits(&number.number) == wanted);
        let by_key = || numbers.iter().find(|number| number.key.to_string() == which.trim());
        by_number
            .or_else(by_key)
            .cloned()
            .ok_or_else(|| AdminError::NotThere { what: "dial-in number", name: shown(which) })
    }
}

/// What somebody wrote, for an error's one line.
pub(super) fn shown(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(64).collect()
}
