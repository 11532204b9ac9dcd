//! Dialogs (RFC 3261 section 12): the two tags, the two sequences of CSeq numbers, and the way to the peer.
//!
//! What is kept is copied out of the messages it came in, so that a long call does not hold on to its first datagram.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use super::answer::SIP_PORT;
use super::arrival::Arrival;
use super::flow::{Flow, Transport};
use crate::wire::sip::{CSeq, HeaderName, Headers, Method, NameAddr, Request, Response, SipUri, Uri, Via};

/// What every request starts with: more hops than any route of ours has (RFC 3261 section 8.1.1.6).
pub(super) const MAX_FORWARDS: &str = "70";

/// Our tag in a dialog: 64 random bits, so that nobody can speak in a dialog whose messages he has not seen
/// (RFC 3261 section 19.3 asks for 32). It names the dialog in our tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LocalTag(u64);

impl LocalTag {
    pub fn new(random: &mut StdRng) -> LocalTag {
        LocalTag(random.random())
    }

    pub fn from_bits(bits: u64) -> LocalTag {
        LocalTag(bits)
    }

    /// `None` for a tag that is none of ours.
    pub fn parse(text: &[u8]) -> Option<LocalTag> {
        let is_ours = text.len() == 16 && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let text = std::str::from_utf8(text).ok().filter(|_| is_ours)?;
        u64::from_str_radix(text, 16).ok().map(LocalTag)
    }
}

impl fmt::Display for LocalTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for LocalTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request came with a lower CSeq than one before it (section 12.2.2: answered 500).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfOrder;

#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub call_id: Bytes,
    pub local_tag: LocalTag,
    /// Empty for an element of RFC 2543.
    remote_tag: Bytes,
    /// Our From and the peer's To in requests of ours, with their tags.
    local: Bytes,
    remote: Bytes,
    local_sequence: u32,
    remote_sequence: Option<u32>,
    remote_target: Uri,
    route_set: Vec<Route>,
    /// The peer knows its own address: its first message came from where its Via says. Otherwise it sits behind a NAT, or
    /// goes by a name, and what it says in Contact leads nowhere that we can tell.
    knows_itself: bool,
}

#[derive(Debug, Clone)]
struct Route {
    value: Bytes,
    uri: Uri,
}

impl Dialog {
    /// As UAS, from an INVITE (section 12.1.1).
    pub fn of_invite(arrival: &Arrival, local_tag: LocalTag, random: &mut StdRng) -> Dialog {
        // A Contact is missing only from elements of RFC 2543: their From stands in for it.
        let headers = &arrival.request.headers;
        let contact = headers.contact().ok().flatten();
        let routes = headers.record_routes().unwrap_or_default();
        let sent_by = arrival.via.host.ip().map(|address| address.to_canonical());
        Dialog {
            call_id: Bytes::copy_from_slice(arrival.call_id()),
            local_tag,
            remote_tag: own(arrival.from.tag()),
            local: arrival.to.clone().with_tag(local_tag.to_string()).to_bytes(),
            remote: arrival.from.to_bytes(),
            local_sequence: first_sequence(random),
            remote_sequence: Some(arrival.sequence),
            remote_target: own_uri(contact.as_ref().map_or(&arrival.from.uri, |contact| &contact.uri)),
            route_set: routes.iter().map(Route::new).collect(),
            knows_itself: sent_by == Some(arrival.flow.remote.ip().to_canonical()),
        }
    }

    /// As UAC, from a 2xx to our INVITE (section 12.1.2).
    pub fn of_answer(invite: &Request, response: &Response, local_tag: LocalTag) -> Dialog {
        let from = invite.headers.get(&HeaderName::From).cloned().unwrap_or_default();
        let to = response.headers.to().ok();
        let contact = response.headers.contact().ok().flatten();
        let mut routes = response.headers.record_routes().unwrap_or_default();
        routes.reverse();
        Dialog {
            call_id: own(invite.headers.call_id().ok()),
            local_tag,
            remote_tag: own(to.as_ref().and_then(NameAddr::tag)),
            local: from,
            remote: to.map(|to| to.to_bytes()).unwrap_or_default(),
            local_sequence: invite.headers.cseq().map(|cseq| cseq.number).unwrap_or_default(),
            remote_sequence: None,
            remote_target: own_uri(contact.as_ref().map_or(&invite.uri, |contact| &contact.uri)),
            route_set: routes.iter().map(Route::new).collect(),
            knows_itself: true,
        }
    }

    /// Whether a message with this Call-ID and remote tag belongs to this dialog; our own tag has matched already.
    pub fn matches(&self, call_id: &[u8], remote_tag: Option<&Bytes>) -> bool {
        self.call_id == call_id && remote_tag.map_or(&b""[..], |tag| tag) == self.remote_tag
    }

    /// Whether this is the same dialog (section 12): of two 2xx to one INVITE.
    pub fn is_same(&self, other: &Dialog) -> bool {
        self.call_id == other.call_id && self.local_tag == other.local_tag && self.remote_tag == other.remote_tag
    }

    /// Takes the CSeq of the peer's next request. Gaps are fine: somebody on the way may have answered what we never saw.
    pub fn take_sequence(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if self.remote_sequence.is_some_and(|last| number <= last) {
            return Err(OutOfOrder);
        }
        self.remote_sequence = Some(number);
        Ok(())
    }

    /// A target refresh: the Contact of a re-INVITE or UPDATE, or of the 2xx to one (section 12.2).
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(Some(contact)) = headers.contact() {
            self.remote_target = own_uri(&contact.uri);
        }
    }

    /// The next request of ours, as far as the dialog writes it; Via first.
    pub fn request(&mut self, method: Method, via: &Via) -> Request {
        self.local_sequence = self.local_sequence.wrapping_add(1);
        self.write_request(method, self.local_sequence, via)
    }

    /// The ACK for a 2xx to our INVITE with that CSeq (section 13.2.2.4).
    pub fn ack(&self, invite_sequence: u32, via: &Via) -> Request {
        self.write_request(Method::Ack, invite_sequence, via)
    }

    pub fn local_sequence(&self) -> u32 {
        self.local_sequence
    }

    fn write_request(&self, method: Method, number: u32, via: &Via) -> Request {
        let mut headers = Headers::new();
        headers.push(HeaderName::Via, via.to_bytes());
        let mut uri = self.remote_target.clone();
        match self.route_set.split_first() {
            // Section 12.2.1.1: a first hop of RFC 2543 (no `lr`) is itself the Request-URI, and the target comes last.
            Some((first, rest)) if !first.is_loose() => {
                uri = first.uri.clone();
                for route in rest {
                    headers.push(HeaderName::Route, route.value.clone());
                }
                headers.push(HeaderName::Route, NameAddr::new(self.remote_target.clone()).to_bytes());
            }
            _ => {
                for route in &self.route_set {
                    headers.push(HeaderName::Route, route.value.clone());
                }
            }
        }
        headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
        headers.push(HeaderName::From, self.local.clone());
        headers.push(HeaderName::To, self.remote.clone());
        headers.push(HeaderName::CallId, self.call_id.clone());
        headers.push(HeaderName::CSeq, CSeq { number, method: method.clone() }.to_bytes());
        Request { method, uri, headers, body: Bytes::new() }
    }

    /// Where requests of ours go. `flow` is the one that the peer's last message came by.
    ///
    /// A connection is used as long as it is there. Over UDP the next hop is the first route, or else the target, where
    /// that is an address (names are not resolved here) and the peer knows itself; in every other case the address that the peer's messages come from.
    pub fn next_hop(&self, flow: &Flow) -> Flow {
        let mut hop = *flow;
        if flow.transport == Transport::Udp
            && self.knows_itself
            && let Some(uri) = self.route_set.first().map_or(&self.remote_target, |route| &route.uri).as_sip()
            && let Some(address) = uri.host.ip().and_then(|address| reachable_from(flow, address))
        {
            hop.remote = SocketAddr::new(address, uri.port.filter(|port| *port != 0).unwrap_or(SIP_PORT));
        }
        hop
    }
}

impl Route {
    fn new(address: &NameAddr) -> Route {
        Route { value: address.to_bytes(), uri: own_uri(&address.uri) }
    }

    fn is_loose(&self) -> bool {
        self.uri.as_sip().is_some_and(|uri: &SipUri| uri.params.has("lr"))
    }
}

/// The address as the flow's socket must name it; `None` where it can't be sent to from there.
fn reachable_from(flow: &Flow, address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    match (flow.remote.ip(), address) {
        _ if address.is_unspecified() || address.is_multicast() => None,
        (IpAddr::V4(_), IpAddr::V4(_)) => Some(address),
        (IpAddr::V6(_), IpAddr::V6(_)) if flow.remote.ip().to_canonical().is_ipv6() => Some(address),
        // A dual-stack socket: its IPv4 peers are mapped addresses.
        (IpAddr::V6(mapped), IpAddr::V4(address)) if mapped.to_ipv4_mapped().is_some() => {
            Some(IpAddr::V6(address.to_ipv6_mapped()))
        }
        _ => None,
    }
}

/// A copy that shares no memory with its message.
fn own(bytes: Option<&Bytes>) -> Bytes {
    bytes.map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default()
}

/// What a Request-URI is made of: the URI without the headers it may ask for, which are not ours to write.
fn own_uri(uri: &Uri) -> Uri {
    // What was read once can be read again.
    let mut owned = Uri::parse(&uri.to_bytes()).unwrap_or_else(|_| uri.clone());
    if let Uri::Sip(sip) = &mut owned {
        sip.headers = None;
    }
    owned
}

/// Section 8.1.1.5: below 2³¹. Small enough that no call of ours ever gets there.
pub(super) fn first_sequence(random: &mut StdRng) -> u32 {
    random.random_range(1..1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tags_are_read_back_and_no_others_are() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let tag = LocalTag::from_bits(bits);
            assert_eq!(LocalTag::parse(tag.to_string().as_bytes()), Some(tag));
        }
        for other in ["", "1", "0123456789ABCDEF", "0123456789abcdef0", "+123456789abcdef", "0123456789abcde\u{e9}"] {
            assert_eq!(LocalTag::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn an_address_is_named_as_the_socket_needs_it() {
        let reached = |from: &str, to: &str| {
            let flow = Flow::udp("[::]:5060".parse().unwrap(), from.parse().unwrap());
            reachable_from(&flow, to.parse().unwrap()).map(|address| address.to_string())
        };
        assert_eq!(reached("192.0.2.9:5060", "192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_eq!(reached("192.0.2.9:5060", "::ffff:192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_eq!(reached("[::ffff:192.0.2.9]:5060", "192.0.2.7").as_deref(), Some("::ffff:192.0.2.7"));
        assert_eq!(reached("[2001:db8::9]:5060", "2001:db8::7").as_deref(), Some("2001:db8::7"));
        for (from, to) in [
            ("192.0.2.9:5060", "2001:db8::7"),
            ("[2001:db8::9]:5060", "192.0.2.7"),
            ("[::ffff:192.0.2.9]:5060", "2001:db8::7"),
            ("192.0.2.9:5060", "0.0.0.0"),
            ("192.0.2.9:5060", "224.0.0.1"),
        ] {
            assert_eq!(reached(from, to), None, "{from} {to}");
        }
    }
}
