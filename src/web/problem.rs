//! An error as RFC 9457 has it: one JSON object of type `application/problem+json`, with the one line that the reader
//! needs in `detail`.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminError;
use crate::credentials::StoreError;
use crate::server::live::LiveError;

/// What every `type` begins with; what follows is the same in every version.
const TYPE_PREFIX: &str = "urn:anteroom:problem:";

/// The store is away: when to ask again.
const STORE_AGAIN_S: u32 = 5;

/// Why a request was refused or failed (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Tells problems apart, for programs: `urn:anteroom:problem:no-user`.
    #[serde(rename = "type")]
    #[schema(example = "urn:anteroom:problem:no-user")]
    kind: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: String,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong and what to do, for people.
    #[schema(example = "there is no user anna@example.com")]
    detail: String,
    /// Seconds, for `Retry-After`.
    #[serde(skip)]
    again_s: Option<u32>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("{TYPE_PREFIX}{kind}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            again_s: None,
        }
    }

    /// Asked again after so many seconds it may work.
    #[must_use]
    pub fn again_after(self, seconds: u32) -> Problem {
        Problem { again_s: Some(seconds), ..self }
    }

    /// What was given is not what this operation takes.
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    pub fn not_signed_in() -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "not-signed-in", "sign in first, or send a token that holds")
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The one line for the reader.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, again_s) = (self.status(), self.again_s);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"anteroom\""));
        }
        if let Some(seconds) = again_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let (status, kind) = match &error {
            // The reason may name files of the machine: it is for the log.
            StoreError::Unavailable(_) => {
                tracing::error!(%error, "a request failed");
                return Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "store-away",
                    "the credential store can't be used now: try again, and see the server's log",
                )
                .again_after(STORE_AGAIN_S);
            }
            StoreError::NoUser(_) => (StatusCode::NOT_FOUND, "no-user"),
            StoreError::NotEnabled(_) => (StatusCode::CONFLICT, "not-enabled"),
            StoreError::NoFreeConferenceId(_) => (StatusCode::CONFLICT, "no-free-conference-id"),
            StoreError::Setting(_) => (StatusCode::UNPROCESSABLE_ENTITY, "setting"),
            StoreError::NotThere { .. } => (StatusCode::NOT_FOUND, "not-there"),
            StoreError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            StoreError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        };
        Problem::new(status, kind, error.to_string())
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Problem {
        match error {
            AdminError::Store(error) => error.into(),
            AdminError::Live(LiveError::NoAnswer) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-answer", error.to_string()).again_after(STORE_AGAIN_S)
            }
            AdminError::Live(LiveError::Refused(refusal)) if refusal.is_gone() => {
                Problem::new(StatusCode::NOT_FOUND, "gone", refusal.to_string())
            }
            AdminError::Live(LiveError::Refused(refusal)) => {
                Problem::new(StatusCode::CONFLICT, "not-now", refusal.to_string())
            }
            AdminError::NotThere { .. } => Problem::new(StatusCode::NOT_FOUND, "not-there", error.to_string()),
            AdminError::NoMailServer | AdminError::NoSender | AdminError::NoAddress(_) => {
                Problem::new(StatusCode::CONFLICT, "no-mail", error.to_string())
            }
            AdminError::NoConference(_) => Problem::new(StatusCode::NOT_FOUND, "no-conference", error.to_string()),
            error => Problem::invalid(error.to_string()),
        }
    }
}

/// A route that panicked: a mistake of ours. The message may hold anything, so it stays in the process.
pub fn after_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("an HTTP route panicked: this is a mistake in Anteroom, please report it");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "mistake", "the server made a mistake; its log says more")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_tells_no_file_names() {
        let problem = Problem::from(StoreError::Unavailable("/var/lib/anteroom.db is locked".to_owned()));
        assert!(!serde_json::to_string(&problem).unwrap().contains("/var"));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }

    #[test]
    fn the_members_are_those_of_the_rfc() {
        let problem = Problem::invalid("write a number");
        let json = serde_json::to_value(&problem).unwrap();
        let expected = serde_json::json!({
            "type": "urn:anteroom:problem:invalid",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "write a number",
        });
        assert_eq!(json, expected);
        assert_eq!(Problem::not_signed_in().into_response().headers()["www-authenticate"], "Bearer realm=\"anteroom\"");
    }
}
