//! Layer 0: the vocabulary that every other layer speaks. Values only: no input, no output, no state machine.

pub mod answer;
pub mod event;
pub mod ids;
pub mod lanes;
pub mod limits;
pub mod media;
pub mod prompt;
pub mod secret;
