//! The API over HTTP, against a real server: who may what, how people and programs sign in, and what a wrong request gets.

#[path = "../support/caller.rs"]
mod caller;
#[path = "../support/mod.rs"]
mod support;

mod client;
mod lists;
mod live;
mod postbox;
mod refusals;
mod roles;
mod schema;
mod secrets;
mod sign_in;
mod tls;
mod troubles;
