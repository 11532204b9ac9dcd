//! The console: pages for people, served from the binary, over the same operations as the API and the command line.
//!
//! ```text
//!  GET  page ─▶ visitor: who, with which role ─▶ Administrator ─▶ askama template in the frame ─▶ HTML
//!  POST form ─▶ visitor, form with CSRF token ─▶ Administrator ─▶ flash ─▶ 303 to the page that shows it
//!  live page ─▶ EventSource /api/v1/events ─▶ the page asks for itself again, and takes over what has changed
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`visitor`] | who is signed in, as an extractor for each role |
//! | [`form`] | a form of ours, with its proof |
//! | [`flash`] | what an operation has to say on the next page; a new PIN, once |
//! | [`trouble`] | what can't be done, as a page |
//! | [`confirm`] | the question before what can't be taken back |
//! | [`sending`] | whether a mail goes out with it |
//! | [`home`], [`live`], [`person`] | how things are now |
//! | [`users`], [`user`], [`bulk`] | users: the list, one, many at once |
//! | [`meetings`], [`numbers`], [`me`] | scheduled meetings, dial-in numbers, what a user sees of his own |
//! | [`calls`], [`alerts`], [`audit`], [`outbox`] | what happened, and what to look at |
//! | [`settings`], [`mail_texts`], [`accounts`] | what the organization decides, and who may sign in |
//! | [`sign_in`] | the pages before the sign-in, and the way out |
//! | [`frame`] | menu, role and flashes around every page |
//! | [`paging`] | lists, page by page |
//! | [`words`] | how values read |
//! | [`assets`] | style, script, icons |
//! | `pages/` | the templates |
//!
//! Everything works without script but what updates by itself; script and style are files of ours, never in the page
//! (the content security policy forbids it). A PIN is on a page once: after the form that made it.

pub mod accounts;
pub mod alerts;
pub mod assets;
pub mod audit;
pub mod bulk;
pub mod calls;
pub mod confirm;
pub mod flash;
pub mod form;
pub mod frame;
pub mod home;
pub mod live;
pub mod mail_texts;
pub mod me;
pub mod meetings;
pub mod numbers;
pub mod outbox;
pub mod paging;
pub mod person;
pub mod sending;
pub mod settings;
pub mod sign_in;
pub mod trouble;
pub mod user;
pub mod users;
pub mod visitor;
pub mod words;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;

use super::Site;
use super::auth::Role;
use bulk::Lists;
use confirm::Confirmation;
use flash::{Flash, Flashes, Shown};
use frame::{Frame, Place};
use trouble::Trouble;
use visitor::Visitor;

/// What the pages work with. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    pub site: Site,
    flashes: Arc<Flashes>,
    lists: Arc<Lists>,
}

/// All pages and their files.
pub fn router<S: Clone + Send + Sync + 'static>(site: Site) -> Router<S> {
    let console = Console { site, flashes: Arc::default(), lists: Arc::default() };
    Router::new()
        .merge(home::routes())
        .merge(live::routes())
        .merge(users::routes())
        .merge(user::routes())
        .merge(bulk::routes())
        .merge(meetings::routes())
        .merge(me::routes())
        .merge(numbers::routes())
        .merge(calls::routes())
        .merge(alerts::routes())
        .merge(audit::routes())
        .merge(outbox::routes())
        .merge(settings::routes())
        .merge(mail_texts::routes())
        .merge(accounts::routes())
        .merge(sign_in::routes())
        .route("/assets/{name}", get(assets::serve))
        .with_state(console)
}

impl Console {
    /// The frame of this visitor's page at `path`, with what waits for it.
    pub async fn frame(&self, visitor: &Visitor, place: Place, path: &str) -> Frame {
        let left = self.flashes.take(&visitor.csrf, path);
        // A page that shows something else must not fail for it.
        let open_alerts = match visitor.principal.role {
            Role::User => 0,
            Role::Operator | Role::Administrator => self.site.store.open_alerts().await.unwrap_or_default(),
        };
        Frame {
            place,
            who: visitor.principal.who.clone(),
            role: visitor.principal.role,
            csrf: visitor.csrf.clone(),
            flashes: left.flashes,
            shown: left.shown,
            open_alerts,
        }
    }

    /// After a form: to `path`, which says this.
    pub fn say(&self, visitor: &Visitor, path: &str, flash: Flash) -> Response {
        self.flashes.leave(&visitor.csrf, path, flash);
        Redirect::to(path).into_response()
    }

    /// After a form: `path` shows this secret, once.
    pub fn show_once(&self, visitor: &Visitor, path: &str, shown: Shown) {
        self.flashes.show_once(&visitor.csrf, path, shown);
    }

    /// After a form: to `path`, which says that it is done, or why not.
    pub fn done<T, E: std::fmt::Display>(
        &self,
        visitor: &Visitor,
        path: &str,
        outcome: Result<T, E>,
        done: impl FnOnce(T) -> Flash,
    ) -> Response {
        let flash = match outcome {
            Ok(value) => done(value),
            Err(error) => Flash::refused(error),
        };
        self.say(visitor, path, flash)
    }
}

/// A page.
fn page(template: &impl Template) -> Result<Response, Trouble> {
    match template.render() {
        Ok(html) => Ok(Html(html).into_response()),
        Err(error) => Err(Trouble::mistake(&error)),
    }
}

/// What was typed, where something was.
fn optional(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// An address with those of these values that are not empty.
fn address(path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> = query
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", words::encoded(value)))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_whatever_people_search_for() {
        assert_eq!(address("/users", &[("search", "a&b=ü"), ("after", "")]), "/users?search=a%26b%3D%C3%BC");
        assert_eq!(address("/users", &[("search", "")]), "/users");
        assert_eq!(words::encoded("a+b/c@d.e"), "a%2Bb%2Fc@d.e");
    }
}
