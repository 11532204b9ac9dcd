//! Who looks at a page, as an extractor. A page says by its argument whom it is for: [`Administrators`], [`Operators`] (and
//! administrators), or [`Visitor`] for everybody who is signed in. Who is not is led to the sign-in.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::trouble::Trouble;
use crate::admin::Administrator;
use crate::credentials::Identity;
use crate::web::Site;
use crate::web::auth::{Principal, Role, SignedInBy};

/// A person who is signed in. (A program has no pages: its token opens the API.)
#[derive(Debug)]
pub struct Visitor {
    pub principal: Principal,
    /// What the forms of this sign-in bring back; it also tells sign-ins apart.
    pub csrf: String,
}

impl Visitor {
    /// The operations, done in this visitor's name.
    pub fn administrator<'a>(&self, site: &'a Site) -> Administrator<'a> {
        self.principal.administrator(site)
    }

    /// The user whom this visitor is on the telephone side, where there is one.
    pub async fn identity(&self, site: &Site) -> Result<Identity, Trouble> {
        let Some(key) = self.principal.user else { return Err(Trouble::nothing_here()) };
        Ok(site.store.user_by_key(key).await?.identity)
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, Trouble> {
        let principal = parts.extensions.get::<Principal>().cloned().ok_or(Trouble::NotSignedIn)?;
        let SignedInBy::Session { csrf } = &principal.by else { return Err(Trouble::NotSignedIn) };
        let csrf = csrf.clone();
        Ok(Visitor { principal, csrf })
    }
}

/// A visitor who may look, and act on live meetings.
#[derive(Debug)]
pub struct Operators(pub Visitor);

impl<S: Sync> FromRequestParts<S> for Operators {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operators, Trouble> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        visitor.principal.require(Role::Operator)?;
        Ok(Operators(visitor))
    }
}

/// A visitor who may do everything.
#[derive(Debug)]
pub struct Administrators(pub Visitor);

impl<S: Sync> FromRequestParts<S> for Administrators {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Administrators, Trouble> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        visitor.principal.require(Role::Administrator)?;
        Ok(Administrators(visitor))
    }
}
