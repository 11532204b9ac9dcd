//! What can't be done, as a page: what was wrong, and a way on.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

use crate::admin::AdminError;
use crate::credentials::StoreError;
use crate::web::problem::Problem;

/// Why there is no such page, or not for this visitor.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody is signed in: to the page for that.
    NotSignedIn,
    Told {
        status: StatusCode,
        title: &'static str,
        text: String,
    },
}

impl Trouble {
    pub fn nothing_here() -> Trouble {
        let text = "There is no such page. It may have been here before.".to_owned();
        Trouble::Told { status: StatusCode::NOT_FOUND, title: "Nothing is here", text }
    }

    /// A form that didn't come from a page of this sign-in.
    pub fn stale_form() -> Trouble {
        let text =
            "This form is from another sign-in, or too old. Nothing was changed. Go back, reload the page, and try \
                    again."
                .to_owned();
        Trouble::Told { status: StatusCode::FORBIDDEN, title: "Nothing was done", text }
    }

    /// A page that does not render: its parts are plain texts, so it is a mistake of ours.
    pub fn mistake(error: &askama::Error) -> Trouble {
        tracing::error!(%error, "a page could not be made: this is a mistake in Anteroom, please report it");
        let text = "The server made a mistake; its log says more.".to_owned();
        Trouble::Told { status: StatusCode::INTERNAL_SERVER_ERROR, title: "Something went wrong", text }
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        let status = problem.status();
        let title = match status {
            StatusCode::UNAUTHORIZED => return Trouble::NotSignedIn,
            StatusCode::FORBIDDEN => "This is not for you",
            StatusCode::NOT_FOUND => "Nothing is here",
            StatusCode::SERVICE_UNAVAILABLE => "Not now",
            status if status.is_server_error() => "Something went wrong",
            _ => "Nothing was done",
        };
        Trouble::Told { status, title, text: super::flash::sentence(problem.detail()) }
    }
}

impl From<AdminError> for Trouble {
    fn from(error: AdminError) -> Trouble {
        Problem::from(error).into()
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Problem::from(error).into()
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    title: &'static str,
    text: String,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Trouble::NotSignedIn => Redirect::to("/sign-in").into_response(),
            Trouble::Told { status, title, text } => {
                let html = TroublePage { title, text }.render().unwrap_or_else(|_| title.to_owned());
                (status, Html(html)).into_response()
            }
        }
    }
}
