//! Mails to users: what is decided, what waits, what arrives, and where no PIN may be.
//!
//! | file | its idea |
//! | --- | --- |
//! | `outbox` | what waits, and for how long, without any mail server |
//! | `arrival` | what arrives at a real one (aiosmtpd), parsed and read |
//! | `desk` | an organization with a store, an administrator and a clock of the test's |
//! | `peer` | the mail server, and certificates for it |

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod desk;
mod outbox;
mod peer;
