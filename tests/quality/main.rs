//! How good it is to hear: speech from one caller to another through the real cores (plane and legs), under virtual time and
//! without a socket, so that every run gives the same figures.
//!
//! | file | its idea |
//! | --- | --- |
//! | `line` | callers on a plane, and what the network does to their packets |
//! | `speech` | what is said: the shipped prompts, and a synthesizer's voices beside them |
//! | `tones` | tones: made, and found again |
//! | `loss` | PESQ with and without loss, beside the codec's ceiling and spandsp's concealment |
//! | `delay` | what we add from mouth to ear, with and without jitter |
//! | `streams` | clocks that drift, packets that are late, twice or of another stream, silence that is not sent |
//! | `meeting` | who is heard and how loud; what nobody hears |
//! | `wide` | callers with G.722 among themselves and with others |
//! | `sounds` | loudness of what we play, and clicks where it begins, ends and repeats |
//! | `opus` | callers with Opus, where it is built in |
//! | `wideband` | G.722 beside spandsp's, and its losses beside spandsp's concealment |
//! | `score.py`, `plc.c` | PESQ (PyPI `pesq`), and spandsp's concealment, for `loss` |
//!
//! ```text
//! cargo test --release --test quality -- --include-ignored --nocapture       prints the table of the README
//! ```

mod delay;
mod line;
mod loss;
mod meeting;
#[cfg(feature = "opus")]
mod opus;
mod sounds;
mod speech;
mod streams;
mod tones;
mod wide;
mod wideband;
