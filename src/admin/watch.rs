//! What happened: the audit, the mails in the outbox, alerts, and calls that have ended.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use super::live::masked_number;
use crate::credentials::budget::{Budget, WITHHELD};
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

impl AlertView {
    fn of(alert: &Alert, masked: bool) -> AlertView {
        let (mut subject, mut text) = (alert.subject.clone(), alert.text.clone());
        if masked && let Some((budget, of_whom)) = alert.subject.split_once(' ') {
            let hidden = masked_subject(budget, of_whom);
            text = text.replace(of_whom, &hidden);
            subject = format!("{budget} {hidden}");
        }
        AlertView {
            key: alert.key.0,
            kind: alert.kind.clone(),
            subject,
            text,
            count: alert.count,
            at: alert.at.to_string(),
            last_at: alert.last_at.to_string(),
            cleared_at: alert.cleared_at.map(|at| at.to_string()),
            cleared_by: alert.cleared_by.clone(),
        }
    }
}

/// Of whom a budget counts, the caller's number masked: `+4930123456 by carrier`.
pub(super) fn masked_subject(budget: &str, subject: &str) -> String {
    let counts_callers = [Budget::CallerConferenceIds, Budget::CallerPins].iter().any(|of| of.name() == budget);
    match subject.rsplit_once(" by ") {
        Some((caller, trunk)) if counts_callers && caller != WITHHELD => {
            format!("{} by {trunk}", masked_number(caller))
        }
        _ => subject.to_owned(),
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
    /// The newest first, callers' numbers masked where the settings say so.
    pub async fn alerts(&self, page: &AlertPage) -> Result<Vec<AlertView>, AdminError> {
        let masked = self.store().settings().await?.mask_callers;
        let alerts = self.store().alerts(page).await?;
        Ok(alerts.iter().map(|alert| AlertView::of(alert, masked)).collect())
    }

    /// Somebody has seen it. Twice changes nothing.
    pub async fn clear_alert(&self, key: AlertKey) -> Result<AlertView, AdminError> {
        let masked = self.store().settings().await?.mask_callers;
        Ok(AlertView::of(&self.store().clear_alert(self.actor(), key).await?, masked))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Timestamp;

    #[test]
    fn a_caller_is_masked_and_nobody_else() {
        assert_eq!(masked_subject("caller-pins", "+4930123456 by carrier"), "••••••••456 by carrier");
        assert_eq!(masked_subject("caller-conference-ids", "withheld by carrier"), "withheld by carrier");
        assert_eq!(masked_subject("organizer-pins", "anna@example.com by carrier"), "anna@example.com by carrier");
        assert_eq!(masked_subject("trunk-pins", "carrier"), "carrier");
    }

    #[test]
    fn a_masked_alert_has_the_number_nowhere() {
        let alert = Alert {
            key: AlertKey(1),
            at: Timestamp(0),
            last_at: Timestamp(0),
            kind: "budget-used-up".to_owned(),
            subject: "caller-pins +4930123456 by carrier".to_owned(),
            count: 1,
            text: "caller-pins is used up for +4930123456 by carrier: 20 wrong entries".to_owned(),
            cleared_at: None,
            cleared_by: None,
        };
        let masked = serde_json::to_string(&AlertView::of(&alert, true)).unwrap();
        assert!(!masked.contains("+4930123456") && masked.contains("••••••••456 by carrier: 20"), "{masked}");
        assert!(serde_json::to_string(&AlertView::of(&alert, false)).unwrap().contains("+4930123456"));
    }
}
