//! Layer 4: who may start which meeting. Users, their conference IDs and PINs, the budgets of wrong tries, and the audit.
//!
//! ```text
//!   caller's digits ─▶ ┌──────────────────────────────┐      ┌──────────────┐
//!                      │ Store: every rule, once      │ ───▶ │ Backend      │  rows in, rows out, one
//!   administrator  ──▶ │  pin, hashing, budget,       │      │  memory      │  transaction a call
//!                      │  settings                    │ ◀─── │  sqlite      │
//!                      └──────────────────────────────┘      └──────────────┘
//!                            │ server_key: outside the database
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`gate`] | the two questions that a caller raises, for the server |
//! | [`contract`] | the words: origin, actor, user, errors |
//! | [`store`] | what callers and administrators can ask, and every rule in it |
//! | [`pin`] | PINs and conference IDs: how they are made, and which are too easy |
//! | [`hashing`] | argon2id with the server key, off the async threads, few at a time |
//! | [`server_key`] | the key file |
//! | [`sealing`] | PINs that wait in the outbox, sealed under the server key |
//! | [`budget`] | how many wrong entries who may make, and why the organizer gets through all the same |
//! | [`settings`] | what an organization decides |
//! | [`backend`] | what a place for rows must do |
//! | [`memory`], [`sqlite`] | the places |
//! | [`example`] | the organizer of a first start |
//!
//! Invariants: a PIN leaves [`Store`] once, in the answer to whoever made it, and is nowhere else in clear. A wrong entry
//! is counted *before* it is looked at, so that a hundred lines at once get no more tries than one. A right conference ID
//! is found whatever any budget says.

pub mod backend;
pub mod budget;
pub mod contract;
pub mod example;
pub mod gate;
pub mod hashing;
pub mod memory;
pub mod pin;
pub mod sealing;
pub mod server_key;
pub mod settings;
pub mod sqlite;
pub mod store;

pub use contract::{
    Actor, AuditEntry, Clock, Enabled, Identity, NotAnIdentity, OpenError, Origin, Page, StoreError, Timestamp, User,
    UserChange,
};
pub use example::{FirstStart, first_start_example};
pub use gate::Gate;
pub use settings::Settings;
pub use store::{ClearBudgets, Store};
