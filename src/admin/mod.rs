//! Layer 4: what administrators do, once, for whatever they do it with: command line, API and console. Each operation
//! checks what it is given, does it in the store, and answers with what may be shown.
//!
//! ```text
//!  command line ─┐
//!  API ──────────┼─▶ Administrator (who, from where) ─▶ credentials::Store (rules, audit, outbox: one transaction)
//!  console ──────┘            │
//!                             └─▶ a view: what is shown, with the PIN masked; `ShownOnce` alone shows one, once
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`administrator`] | who administers, and why something is refused |
//! | [`users`] | enabling and disabling, PINs and conference IDs |
//! | [`mailing`] | whether a mail goes out with an operation, and to whom |
//! | [`bulk`] | many users from a CSV file |
//! | [`numbers`] | dial-in numbers |
//! | [`meetings`] | scheduled meetings and their invitations |
//! | [`organization`] | settings, the texts of mails, budgets |
//! | [`accounts`] | who signs in: people and programs |
//! | [`watch`] | the audit, the outbox, alerts, ended calls |
//! | [`live`] | meetings that go on: what is shown of them, and what is done to them |
//! | [`view`] | what is shown of users, settings and budgets |
//! | [`moment`] | points in time as people write them |

pub mod accounts;
pub mod administrator;
pub mod bulk;
pub mod live;
pub mod mailing;
pub mod meetings;
pub mod moment;
pub mod numbers;
pub mod organization;
pub mod users;
pub mod view;
pub mod watch;

pub use accounts::{AccountLinkView, AccountView, NewTokenView, TokenView};
pub use administrator::{AdminError, Administrator};
pub use bulk::{BULK_BYTES_MAX, BulkAction, BulkError, BulkLine, BulkList, BulkOutcome};
pub use mailing::{Mail, Mailed};
pub use meetings::{InvitationView, MeetingView, MeetingsView};
pub use numbers::{NumberChange, NumberView};
pub use organization::{MailTextView, mail_kind};
pub use view::{BudgetView, ChangedUserView, EnabledView, NewPinView, SettingView, ShownOnce, UserView};
pub use watch::{AlertView, AuditView, EndedCallView, MailView};
