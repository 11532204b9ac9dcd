//! Layer 4: what administrators do, once, for whatever they do it with: the command line now, the API and the console
//! later. Each operation checks what it is given, does it in the store, and answers with what may be shown.
//!
//! ```text
//!  command line ─┐
//!  API ──────────┼─▶ Administrator (who, from where) ─▶ credentials::Store (rules, audit, one transaction)
//!  console ──────┘            │
//!                             └─▶ a view: what is shown, with the PIN masked; `NewPin` alone shows one, once
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`operations`] | the operations |
//! | [`live`] | meetings that go on: what is shown of them, and what is done to them |
//! | [`view`] | what is shown of users, settings, budgets and the audit |

pub mod live;
pub mod operations;
pub mod view;

pub use operations::{AdminError, Administrator, Mail};
pub use view::{AuditView, BudgetView, EnabledView, NewPinView, SettingView, ShownOnce, UserView};
