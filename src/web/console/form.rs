//! A form of ours. It brings back the token of the sign-in that it was made for; without it nothing is done, so that no
//! other site's page can press our buttons.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::trouble::Trouble;
use super::visitor::Visitor;

/// A form whose token is right. Its fields are texts: the token among them is read first.
#[derive(Debug)]
pub struct Form<T>(pub T);

#[derive(Deserialize)]
struct WithToken<T> {
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    fields: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Form<T>, Trouble> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let form = axum::Form::<WithToken<T>>::from_request(Request::from_parts(parts, body), state).await;
        let axum::Form(form) = form.map_err(|rejection| unreadable(rejection.status()))?;
        if bool::from(form.csrf.as_bytes().ct_eq(visitor.csrf.as_bytes())) {
            Ok(Form(form.fields))
        } else {
            Err(Trouble::stale_form())
        }
    }
}

/// No fields but the token.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

pub fn unreadable(status: StatusCode) -> Trouble {
    let text = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "That is more than this form takes. Nothing was changed.".to_owned()
    } else {
        "The form was not complete. Nothing was changed. Go back and try again.".to_owned()
    };
    Trouble::Told { status, title: "Nothing was done", text }
}
