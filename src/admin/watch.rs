//! What happened: the audit, and the mails in the outbox.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use crate::credentials::{AuditLine, AuditPage, Mail, MailKey, MailPage};

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

impl Administrator<'_> {
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
