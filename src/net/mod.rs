//! Sockets, and the threads that own them: the edge between the pure cores and the network.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`media_thread`] | all media threads: which call and meeting is where; commands down, events up |
//! | [`media_loop`] | one media thread: its plane, its sockets, a tick each 20 ms |
//! | `dialling` | whose keys it takes as they come |
//! | [`udp_drain`] | what waits in a media socket, with the time when it came |
//! | [`ports`] | which RTP port pairs are free |
//! | [`audio`], `audio_embedded` | prompts, music and chimes: an operator's files, and those in the binary |
//! | [`sip_transport`], [`sip_udp`], [`sip_tcp`], [`sip_stream`] | SIP over datagrams and over streams |
//! | [`sip_connections`] | which TCP connections are open, and which one makes room |
//! | [`sip_sources`], [`sip_inputs`] | how much a source may send; the way to the engine, trunks first |
//! | [`route`] | which local address reaches a peer |

pub mod audio;
mod audio_embedded;
mod dialling;
pub mod media_loop;
pub mod media_thread;
pub mod ports;
pub mod route;
pub mod sip_connections;
pub mod sip_inputs;
pub mod sip_sources;
pub mod sip_stream;
pub mod sip_tcp;
pub mod sip_transport;
pub mod sip_udp;
pub mod udp_drain;
