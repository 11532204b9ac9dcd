//! What happened: the audit, the mails in the outbox, alerts, and calls that have ended.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use super::live::masked_number;
use crate::credentials::{
    Alert, AlertKey, AlertPage, AuditLine, AuditPage, CallRecordPage, KeptCall, Mail, MailKey, MailPage,
};

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditView {
    /// For the next page: the lines before this one.
    pub key: u64,
    pub at: String,
    pub who: String,
    pub from: String,
    #[schema(example = "user.reset-pin")]
    pub action: String,
    pub subject: String,
    pub detail: String,
}

impl From<AuditLine> for AuditView {
    fn from(line: AuditLine) -> AuditView {
        AuditView {
            key: line.key.0,
            at: line.at.to_string(),
            who: line.actor.who,
            from: line.actor.from,
            action: line.action,
            subject: line.subject,
            detail: line.detail,
        }
    }
}

/// A mail in the outbox. Its text is made when it is sent; there is no PIN here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MailView {
    pub key: u64,
    /// `enabled`, `pin-reset`, `conference-id-changed`, `conference-info`, `disabled`.
    #[schema(example = "pin-reset")]
    pub mail: &'static str,
    pub user: String,
    pub to: String,
    /// `queued`, `sent`, `given-up`.
    #[schema(example = "sent")]
    pub state: &'static str,
    pub attempts: u32,
    /// When it is tried next, while it is queued.
    pub next_at: Option<String>,
    pub last_error: Option<String>,
    pub created_at: String,
    /// When it was sent or given up.
    pub ended_at: Option<String>,
    pub message_id: String,
}

impl From<&Mail> for MailView {
    fn from(mail: &Mail) -> MailView {
        MailView {
            key: mail.key.0,
            mail: mail.kind.name(),
            user: mail.identity.clone(),
            to: mail.to.clone(),
            state: mail.state.name(),
            attempts: mail.attempts,
            next_at: mail.ended_at.is_none().then(|| mail.next_at.to_string()),
            last_error: mail.last_error.clone(),
            created_at: mail.created_at.to_string(),
            ended_at: mail.ended_at.map(|at| at.to_string()),
            message_id: mail.message_id.clone(),
        }
    }
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertView {
    pub key: u64,
    #[schema(example = "budget-used-up")]
    pub kind: String,
    /// On whom or what.
    pub subject: String,
    /// For people.
    pub text: String,
    /// How often it was raised.
    pub count: u32,
    pub at: String,
    pub last_at: String,
    pub cleared_at: Option<String>,
    pub cleared_by: Option<String>,
}

impl From<&Alert> for AlertView {
    fn from(alert: &Alert) -> AlertView {
        AlertView {
            key: alert.key.0,
            kind: alert.kind.clone(),
            subject: alert.subject.clone(),
            text: alert.text.clone(),
            count: alert.count,
            at: alert.at.to_string(),
            last_at: alert.last_at.to_string(),
            cleared_at: alert.cleared_at.map(|at| at.to_string()),
            cleared_by: alert.cleared_by.clone(),
        }
    }
}

/// A call that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EndedCallView {
    pub key: u64,
    pub ended_at: String,
    /// As the file of call records has it (`records.file`).
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
}

impl EndedCallView {
    fn of(call: &KeptCall, masked: bool) -> EndedCallView {
        let mut record: serde_json::Value = serde_json::from_str(&call.record).unwrap_or_default();
        if masked && let Some(from) = record.get_mut("from") {
            *from = masked_number(from.as_str().unwrap_or_default()).into();
        }
        EndedCallView { key: call.key.0, ended_at: call.ended_at.to_string(), record }
    }
}

impl Administrator<'_> {
    /// The newest first.
    pub async fn alerts(&self, page: &AlertPage) -> Result<Vec<AlertView>, AdminError> {
        Ok(self.store().alerts(page).await?.iter().map(AlertView::from).collect())
    }

    /// Somebody has seen it. Twice changes nothing.
    pub async fn clear_alert(&self, key: AlertKey) -> Result<AlertView, AdminError> {
        Ok(AlertView::from(&self.store().clear_alert(self.actor(), key).await?))
    }

    /// The newest first, callers' numbers masked where the settings say so.
    pub async fn ended_calls(&self, page: &CallRecordPage) -> Result<Vec<EndedCallView>, AdminError> {
        let masked = self.store().settings().await?.mask_callers;
        let calls = self.store().call_records(page).await?;
        Ok(calls.iter().map(|call| EndedCallView::of(call, masked)).collect())
    }

    /// The newest lines first.
    pub async fn audit(&self, page: &AuditPage) -> Result<Vec<AuditView>, AdminError> {
        Ok(self.store().audit(page).await?.into_iter().map(AuditView::from).collect())
    }

    /// The newest mails first.
    pub async fn outbox(&self, page: &MailPage) -> Result<Vec<MailView>, AdminError> {
        Ok(self.store().outbox(page).await?.iter().map(MailView::from).collect())
    }

    /// Tries a mail again now. One whose PIN is erased can't be sent any more.
    pub async fn retry_mail(&self, key: MailKey) -> Result<MailView, AdminError> {
        Ok(MailView::from(&self.store().retry_mail(self.actor(), key).await?))
    }
}
