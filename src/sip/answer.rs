//! Answers: what every response takes over from its request (RFC 3261 section 8.2.6), and where it goes.

use super::flow::{Flow, Transport};
use crate::wire::sip::{HeaderName, Headers, Host, Request, Response, Via};

/// The port of a Via or URI that names none (RFC 3261 section 19.1.2).
pub(super) const SIP_PORT: u16 = 5060;

/// What is kept of a request until its final answer: Via, From, To, Call-ID, CSeq and Record-Route.
#[derive(Debug, Clone)]
pub(super) struct AnswerBase {
    headers: Headers,
}

impl AnswerBase {
    /// `via` is the request's top Via, read already; it is stamped with where the request came from.
    pub fn new(request: &Headers, via: Option<&Via>, flow: &Flow) -> AnswerBase {
        const KEPT: [HeaderName; 6] = [
            HeaderName::Via,
            HeaderName::RecordRoute,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ];
        // With one Via and one Record-Route.
        let mut headers = Headers::with_capacity(KEPT.len());
        for header in request.iter().filter(|header| KEPT.contains(&header.name)) {
            headers.push(header.name.clone(), header.value.clone());
        }
        if let Some(via) = via {
            let mut stamped = via.clone();
            stamped.stamp(flow.remote);
            headers.set_first_value(&HeaderName::Via, &stamped.to_bytes());
        }
        AnswerBase { headers }
    }

    /// An answer with this status. `tag` becomes To's where the request had none; only a 100 goes without one.
    pub fn answer(&self, status: u16, tag: Option<&str>) -> Response {
        let mut response = Response::answering(&self.headers, status, tag);
        // Section 12.1.1: what makes a dialog, or may become one, carries the route back.
        if (101..300).contains(&status) {
            for route in self.headers.get_all(&HeaderName::RecordRoute) {
                response.headers.push(HeaderName::RecordRoute, route.clone());
            }
        }
        response
    }
}

/// Where the answers to a request go (RFC 3261 section 18.2.2, RFC 3581 section 4): back over the connection; over UDP to
/// the source address, at the source port where `rport` asks for it, otherwise at the port of sent-by. `maddr` is not
/// followed: it would let a request point its answers at anybody.
pub(super) fn answer_flow(flow: &Flow, via: &Via) -> Flow {
    let mut flow = *flow;
    if flow.transport == Transport::Udp && !via.wants_rport() {
        flow.remote.set_port(via.port.filter(|port| *port != 0).unwrap_or(SIP_PORT));
    }
    flow
}

/// The key of the server transaction that a request belongs to (RFC 3261 section 17.2.3). An ACK is looked up with
/// `method` INVITE, and so is what a CANCEL cancels.
pub(super) fn transaction_key(request: &Request, via: &Via, method: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    let mut add = |part: &[u8]| {
        key.extend_from_slice(part);
        key.push(0);
    };
    add(method.as_bytes());
    match &via.host {
        Host::Name(name) => add(&name.to_ascii_lowercase()),
        address => add(address.to_string().as_bytes()),
    }
    add(&via.port.unwrap_or(SIP_PORT).to_be_bytes());
    match via.unique_branch() {
        Some(branch) => add(branch),
        None => {
            // An element of RFC 2543: what identifies it is spread over the request. To's tag is left out, since an
            // ACK has the one of our answer.
            let headers = &request.headers;
            add(b"RFC 2543");
            add(&request.uri.to_bytes());
            add(headers.from().ok().as_ref().and_then(|from| from.tag()).map_or(b"", |tag| &tag[..]));
            add(headers.call_id().map_or(b"", |call_id| &call_id[..]));
            add(&headers.cseq().map(|cseq| cseq.number).unwrap_or_default().to_be_bytes());
            add(via.branch().map_or(b"", |branch| &branch[..]));
        }
    }
    key
}
