//! The simulator. See `tests/simulation.rs`.

pub mod dice;
pub mod ear;
pub mod keys;
pub mod model;
pub mod network;
pub mod phone;
pub mod plan;
pub mod sounds;
pub mod store;
pub mod story;
pub mod world;
