//! What all operations have in common in the description: pages of lists, the problems that any of them may answer with,
//! and the two ways to sign in.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use super::super::problem::Problem;

/// The head of the description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Anteroom",
        description = "The telephone side of an organization's meetings: users with their conference IDs and PINs, \
                       numbers, meetings, and what happens live.\n\nPrograms send a token (`Authorization: Bearer …`). \
                       A session of the console works too; whatever changes something then needs the header \
                       `X-CSRF-Token`. A PIN, password, token or link is in one answer, once, and never in a URL.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    security(("token" = []), ("session" = [])),
    modifiers(&SignIn),
)]
pub struct Description;

struct SignIn;

impl Modify for SignIn {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token for programs")).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let session = ApiKey::Cookie(ApiKeyValue::with_description("anteroom", "A session of the console"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<T: ToSchema> {
    pub items: Vec<T>,
    /// Give this as `after` for the next page. Not there: this was the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T: ToSchema> Listed<T> {
    /// From one row more than the page has: that row is not shown, but tells that there are more.
    pub fn from_one_more(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Listed<T> {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > shown;
        items.truncate(shown);
        let next = items.last().filter(|_| more).map(cursor);
        Listed { items, next }
    }

    /// A list that has no pages, for it is bounded and short.
    pub fn whole(items: Vec<T>) -> Listed<T> {
        Listed { items, next: None }
    }
}

/// What any operation may answer instead.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        [
            ("400", "The request can't be read"),
            ("401", "Not signed in"),
            ("403", "Not allowed to this role, or a change without `X-CSRF-Token`"),
            ("404", "There is no such thing"),
            ("409", "Not as things stand now"),
            ("413", "Too large"),
            ("415", "Not JSON"),
            ("422", "Not what this operation takes"),
            ("429", "Too often: see `Retry-After`"),
            ("503", "The store or the engine does not answer now: see `Retry-After`"),
        ]
        .into_iter()
        .map(|(status, why)| {
            let problem = ContentBuilder::new().schema(Some(openapi::Ref::from_schema_name(Problem::name()))).build();
            let response = ResponseBuilder::new().description(why).content("application/problem+json", problem).build();
            (status.to_owned(), RefOr::T(response))
        })
        .collect()
    }
}
