//! What the organization decides: settings, the texts of mails, and which counts of wrong entries stand.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use super::numbers::shown;
use super::view::{BudgetView, SettingView};
use super::watch::masked_subject;
use crate::credentials::{ClearBudgets, MailKind};
use crate::mail::letter::{self, Part};

/// One text of one mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MailTextView {
    /// `enabled`, `pin-reset`, `conference-id-changed`, `conference-info`, `disabled`.
    #[schema(example = "pin-reset")]
    pub mail: &'static str,
    /// `subject`, `text`, `html`.
    #[schema(example = "text")]
    pub part: &'static str,
    pub text: String,
    /// Whether it is the organization's own.
    pub own: bool,
    /// What can stand in it, such as `{{name}}`.
    pub places: Vec<&'static str>,
}

impl Administrator<'_> {
    pub async fn settings(&self) -> Result<Vec<SettingView>, AdminError> {
        Ok(SettingView::all(&self.store().settings().await?))
    }

    /// Sets one; how it stands now.
    pub async fn set_setting(&self, key: &str, value: &str) -> Result<Vec<SettingView>, AdminError> {
        let settings = self.store().set_setting(self.actor(), key, value).await?;
        Ok(SettingView::all(&settings).into_iter().filter(|setting| setting.key == key).collect())
    }

    pub async fn mail_texts(&self) -> Result<Vec<MailTextView>, AdminError> {
        let mut texts = Vec::new();
        for kind in MailKind::ALL {
            for part in Part::ALL {
                texts.push(self.mail_text(kind, part).await?);
            }
        }
        Ok(texts)
    }

    pub async fn mail_text(&self, kind: MailKind, part: Part) -> Result<MailTextView, AdminError> {
        let name = letter::template_name(kind, part);
        let own = self.store().mail_templates().await?.into_iter().find(|(other, _)| *other == name);
        let own = own.map(|(_, text)| text);
        Ok(MailTextView {
            mail: kind.name(),
            part: part.name(),
            own: own.is_some(),
            text: own.unwrap_or_else(|| letter::built_in(kind, part).to_owned()),
            places: letter::places(kind, part).into_iter().map(letter::Place::name).collect(),
        })
    }

    /// Puts the organization's own text in the place of the built-in one. `None`: the built-in one holds again.
    pub async fn set_mail_text(
        &self,
        kind: MailKind,
        part: Part,
        text: Option<&str>,
    ) -> Result<MailTextView, AdminError> {
        if let Some(text) = text {
            let refuse = |error| AdminError::Template { part: part.name(), error };
            letter::check(kind, part, text).map_err(refuse)?;
        }
        self.store().set_mail_template(self.actor(), &letter::template_name(kind, part), text).await?;
        self.mail_text(kind, part).await
    }

    /// Callers' numbers masked where the settings say so.
    pub async fn budgets(&self) -> Result<Vec<BudgetView>, AdminError> {
        let settings = self.store().settings().await?;
        Ok(self.store().budgets().await?.iter().map(|count| BudgetView::new(count, &settings)).collect())
    }

    /// How many counts were cleared. A subject that the list showed masked means everybody whom it may stand for.
    pub async fn clear_budgets(&self, clear: ClearBudgets<'_>) -> Result<u64, AdminError> {
        if let ClearBudgets::Subject(shown) = clear
            && self.store().settings().await?.mask_callers
        {
            let counts = self.store().budgets().await?;
            let meant = counts.iter().filter(|of| masked_subject(of.budget.name(), &of.subject) == shown);
            let subjects: BTreeSet<&str> = meant.map(|of| of.subject.as_str()).collect();
            if !subjects.is_empty() {
                let mut cleared = 0_u64;
                for subject in subjects {
                    let clear = ClearBudgets::Subject(subject);
                    cleared = cleared.saturating_add(self.store().clear_budgets(self.actor(), clear).await?);
                }
                return Ok(cleared);
            }
        }
        Ok(self.store().clear_budgets(self.actor(), clear).await?)
    }
}

/// A mail by its name, as lists show it.
pub fn mail_kind(name: &str) -> Result<MailKind, AdminError> {
    MailKind::from_name(name.trim()).ok_or_else(|| {
        let names: Vec<_> = MailKind::ALL.into_iter().map(MailKind::name).collect();
        AdminError::NotThere { what: "mail", name: format!("{}; there are {}", shown(name), names.join(", ")) }
    })
}
