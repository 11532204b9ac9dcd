//! Every bound that more than one layer must know, each with its reason. A bound that one file alone needs stands in that
//! file.

use std::time::Duration;

/// Calls at once, by default. Each takes two UDP ports; `20000-29999` has 5,000 pairs, and two cores carry about 3,000.
pub const CALLS: usize = 3_000;

/// New calls in a second, by default. A call costs some 0.5 ms of one core from INVITE to BYE, so this leaves five sixths of
/// it to what goes on; a full house of 3,000 is there in ten seconds.
pub const CALLS_PER_SECOND: u32 = 300;

/// SIP messages that wait for the engine. At 25 µs each, as refusing one takes, the last of them is answered within 200 ms;
/// what comes above it over UDP is dropped and counted, and comes again by retransmission.
pub const ENGINE_INPUTS: usize = 8_192;

/// Questions to the credential store under way at once. One more is answered as if the store were away: an attacker who
/// types fast must not pile up memory behind a slow disk.
pub const LOOKUPS: usize = 1_024;

/// The largest SIP message, over any transport: one UDP datagram's worth.
pub const SIP_MESSAGE_BYTES: usize = 65_535;

/// TCP connections at once, over all and from one address. A trunk needs one or two.
pub const TCP_CONNECTIONS: usize = 1_024;
pub const TCP_CONNECTIONS_PER_ADDRESS: usize = 32;

/// The same of sources in no trunk: a telephone that a trunk's proxy put through to us needs one.
pub const TCP_CONNECTIONS_OF_STRANGERS: usize = 64;
pub const TCP_CONNECTIONS_PER_STRANGER: usize = 4;

/// A TCP connection that has not brought one whole message by then is closed: half-open and one-byte-a-second peers.
pub const TCP_FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// A TCP message that has begun must be whole by then (`Content-Length` that promises more than comes).
pub const TCP_MESSAGE_COMPLETE: Duration = Duration::from_secs(10);

/// Bytes of a caller's name, number and Call-ID that are kept for the log and the call record.
pub const CALLER_TEXT_BYTES: usize = 128;
