//! The API over HTTP, against a real server: who may what, how people and programs sign in, and what a wrong request gets.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod refusals;
mod roles;
mod schema;
mod secrets;
mod sign_in;
