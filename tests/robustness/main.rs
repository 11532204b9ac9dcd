//! What a hostile or broken network does to the running server, and what a hurried operator does. The binary itself, on
//! loopback addresses and free ports of each test's own; a plain `cargo test` runs all of it, and needs nothing else.
//!
//! | file | what is done |
//! | --- | --- |
//! | [`torture`] | the messages of RFC 4475 and RFC 5118, over UDP and TCP |
//! | [`garbage`] | mutated and random datagrams on the ports of SIP, RTP and RTCP, while a call is up |
//! | [`connections`] | TCP connections that stall, lie, shout, pile up and break |
//! | [`floods`] | INVITEs by the hundred: without ACK, beyond the limit, from sources of no trunk |
//! | [`overload`] | more than the server is rated for: what callers feel meanwhile, and what strangers get |
//! | [`injection`] | RTP and RTCP of others on a call's ports: RTP Bleed, injected voice and keys |
//! | [`mistakes`] | what keeps the server from starting, each explained in one line |
//! | [`secrecy`] | a whole call, and no PIN anywhere afterwards |
//! | [`timing`] | how long an entry takes to be answered, by a caller's ear |
//! | [`raw`] | SIP by hand, for what no library would send |

#[path = "../support/caller.rs"]
mod caller;
#[path = "../support/mutation.rs"]
mod mutation;
#[path = "../support/mod.rs"]
mod support;

mod connections;
mod floods;
mod garbage;
mod injection;
mod mistakes;
mod overload;
mod raw;
mod secrecy;
mod timing;
mod torture;
