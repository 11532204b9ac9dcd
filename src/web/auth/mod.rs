//! Who signs in, how, and what he may do.
//!
//! ```text
//!  Cookie: …                 ─▶ store.session ─┐
//!  Authorization: Bearer …   ─▶ store.token   ─┴▶ Principal { who, role, … } ─▶ Administrators │ Operators │ Principal
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`principal`] | who asks, as an extractor; what each role may do |
//! | [`sign_in`] | a session's begin and end: names, passwords, links, the cookie |
//! | [`tries`] | how often who may try a password |
//! | [`identify`] | from cookie or token to the principal, and the proof that a page of ours asks (CSRF) |

pub mod identify;
pub mod principal;
pub mod sign_in;
pub mod tries;

pub use crate::credentials::Role;
pub use identify::identify;
pub use principal::{Administrators, Operators, Principal, SignedInBy};
