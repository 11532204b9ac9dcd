//! The SIP endpoint as its peers see it: messages in, messages out, time by the test's own clock.
//!
//! | file | what it asks |
//! | --- | --- |
//! | `peer` | the tools: an endpoint with one raw peer, who writes messages by hand |
//! | `set_up` | INVITE to ACK: answers, retransmissions, merged and late requests, CANCEL |
//! | `refusals` | every status that a request can be refused with, and strangers |
//! | `in_dialog` | re-INVITE, UPDATE, INFO, OPTIONS, BYE, glare, session timers |
//! | `calling` | the endpoint as the one who calls |
//! | `torture` | the messages of RFC 4475 and RFC 5118 |
//! | `network` | two endpoints and thousands of calls over a network that loses, doubles and reorders |

mod calling;
mod in_dialog;
mod network;
mod peer;
mod refusals;
mod set_up;
mod torture;
