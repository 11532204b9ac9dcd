//! Who asks, as an extractor. A route says by its argument whom it serves: [`Administrators`], [`Operators`] (and
//! administrators), or [`Principal`] for everybody who is signed in. It stands before the body among the arguments, so
//! that who may not is refused before what he sent is read.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::super::Site;
use super::super::problem::Problem;
use crate::admin::Administrator;
use crate::credentials::{Actor, Role};
use crate::words::ids::UserKey;

/// How somebody has shown who he is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedInBy {
    /// A person in a browser. `csrf` is what his pages send back with every change.
    Session { csrf: String },
    /// A program.
    Token,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// For the audit: the account's name, or the token's label.
    pub who: String,
    pub role: Role,
    /// The user of the telephone side who he is, where he is one.
    pub user: Option<UserKey>,
    pub by: SignedInBy,
    /// The address from which he asks, for the audit.
    pub from: String,
}

impl Principal {
    /// # Errors
    /// The problem to answer with, where his role is less.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let who = match role {
            Role::Administrator => "administrators",
            Role::Operator => "operators and administrators",
            Role::User => "people who are signed in",
        };
        Err(Problem::new(StatusCode::FORBIDDEN, "not-allowed", format!("this is for {who}")))
    }

    /// Him, as the audit is to name him.
    pub fn actor(&self) -> Actor {
        Actor::new(&self.who, &self.from)
    }

    /// The operations, done in his name.
    pub fn administrator<'a>(&self, site: &'a Site) -> Administrator<'a> {
        Administrator::new(&site.store, self.actor()).with_mail(&site.mail)
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Principal, Problem> {
        parts.extensions.get::<Principal>().cloned().ok_or_else(Problem::not_signed_in)
    }
}

/// A principal who may look and act on live meetings.
#[derive(Debug)]
pub struct Operators(pub Principal);

impl<S: Sync> FromRequestParts<S> for Operators {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operators, Problem> {
        let principal = Principal::from_request_parts(parts, state).await?;
        principal.require(Role::Operator)?;
        Ok(Operators(principal))
    }
}

/// A principal who may do everything.
#[derive(Debug)]
pub struct Administrators(pub Principal);

impl<S: Sync> FromRequestParts<S> for Administrators {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Administrators, Problem> {
        let principal = Principal::from_request_parts(parts, state).await?;
        principal.require(Role::Administrator)?;
        Ok(Administrators(principal))
    }
}
