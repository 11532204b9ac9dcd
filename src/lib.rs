//! # Anteroom: the code map
//!
//! Layers, each of which knows only those below it: [`words`] (0), [`wire`] (1).

pub mod wire;
pub mod words;
