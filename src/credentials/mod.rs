//! Layer 4: who may start which meeting. Users, their conference IDs and PINs, the budgets of wrong tries, and the audit.
//!
//! ```text
//!   caller's digits ─▶ ┌──────────────────────────────┐      ┌──────────────┐
//!                      │ Store: every rule, once      │ ───▶ │ Database     │  one SQL text,
//!   administrator  ──▶ │  pin, hashing, budget,       │      │  SQLite      │  one transaction an operation
//!                      │  settings, …                 │ ◀─── │  PostgreSQL  │
//!                      └──────────────────────────────┘      └──────────────┘
//!                            │ server_key: outside the database
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`gate`] | the two questions that a caller raises, for the server |
//! | [`contract`], [`keys`] | the words: origin, actor, user, errors, the keys of rows |
//! | [`store`] | opening; settings, budgets, audit |
//! | [`calls`] | what callers ask |
//! | [`users`] | enabling, disabling, new PINs and conference IDs |
//! | [`numbers`], [`scheduled`] | dial-in numbers; meetings with a conference ID of their own |
//! | [`outbox`] | mails, in the transaction of what they tell about |
//! | [`accounts`] | people who sign in: roles and passwords |
//! | [`bearer`] | what lets somebody in by being held: sessions, tokens, links |
//! | [`records`], [`alerts`], [`live_requests`] | calls that have ended; what to look at; a shell's wishes for live meetings |
//! | [`tidy`], [`check`], [`copy`] | throws away what has had its time; is the store whole; into another database |
//! | [`pin`] | PINs and conference IDs: how they are made, and which are too easy |
//! | [`hashing`] | argon2id with the server key, off the async threads, few at a time |
//! | [`server_key`] | the key file |
//! | [`sealing`] | PINs that wait in the outbox, sealed under the server key |
//! | [`budget`] | how many wrong entries who may make, and why the organizer gets through all the same |
//! | [`settings`] | what an organization decides |
//! | [`rows`] | the rows of users, conferences, PINs and counts |
//! | [`database`] | SQLite and PostgreSQL, by one SQL text |
//! | [`example`] | the organizer of a first start |
//!
//! Invariants: a PIN leaves [`Store`] once, in the answer to whoever made it, and is nowhere else in clear. A wrong entry
//! is counted *before* it is looked at, so that a hundred lines at once get no more tries than one. A right conference ID
//! is found whatever any budget says.

pub mod accounts;
pub mod alerts;
pub mod bearer;
pub mod budget;
pub mod calls;
pub mod check;
pub mod contract;
pub mod copy;
pub mod database;
pub mod example;
pub mod gate;
pub mod hashing;
pub mod keys;
pub mod live_requests;
pub mod numbers;
pub mod outbox;
pub mod pin;
pub mod records;
pub mod rows;
pub mod scheduled;
pub mod sealing;
pub mod server_key;
pub mod settings;
pub mod store;
pub mod tidy;
pub mod users;

pub use accounts::{Account, AccountPage, NewAccount, Role};
pub use alerts::{Alert, AlertPage};
pub use bearer::{ApiToken, NewApiToken, SignedIn};
pub use contract::{
    Actor, AuditEntry, Clock, Enabled, Identity, NotAnIdentity, OpenError, Origin, Page, StoreError, Timestamp, User,
    UserChange, UserDetails,
};
pub use example::{FirstStart, first_start_example};
pub use gate::{Answer, Gate};
pub use keys::{
    AccountKey, AlertKey, ApiTokenKey, AuditKey, CallRecordKey, Cursor, LiveRequestKey, MailKey, NumberKey,
};
pub use live_requests::{LiveDeed, LiveRequest, LiveRequestState};
pub use numbers::{NewNumber, Number};
pub use outbox::{ClaimedMail, Mail, MailFailure, MailKind, MailPage, MailState, MailWish};
pub use records::{CallRecordPage, KeptCall, StoredCall};
pub use scheduled::{MeetingChange, MeetingPage, MeetingPlan, ScheduledMeeting};
pub use settings::Settings;
pub use store::{AuditLine, AuditPage, ClearBudgets, Store};
