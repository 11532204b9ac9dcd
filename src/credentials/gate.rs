//! What the server asks of the credential store while calls go on. Administration is no part of it, so whatever can answer
//! these two questions can stand behind a server: a store, or a test's slow one.

use std::pin::Pin;

use super::contract::{Origin, StoreError};
use super::store::Store;
use crate::words::answer::{ConferenceAnswer, PinAnswer};
use crate::words::ids::{ConferenceId, ConferenceKey};
use crate::words::secret::Secret;

/// What is answered, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The two questions that a caller raises. An error means that nothing was decided, and nobody is let in for it.
pub trait Gate: Send + Sync + 'static {
    /// What does this conference ID lead to?
    fn find_conference<'a>(&'a self, id: &'a ConferenceId, origin: &'a Origin) -> Answer<'a, ConferenceAnswer>;

    /// Does this PIN open this conference's meetings?
    fn verify_pin<'a>(
        &'a self,
        conference: ConferenceKey,
        pin: &'a Secret,
        origin: &'a Origin,
    ) -> Answer<'a, PinAnswer>;
}

impl Gate for Store {
    fn find_conference<'a>(&'a self, id: &'a ConferenceId, origin: &'a Origin) -> Answer<'a, ConferenceAnswer> {
        Box::pin(Store::find_conference(self, id, origin))
    }

    fn verify_pin<'a>(
        &'a self,
        conference: ConferenceKey,
        pin: &'a Secret,
        origin: &'a Origin,
    ) -> Answer<'a, PinAnswer> {
        Box::pin(Store::verify_pin(self, conference, pin, origin))
    }
}
