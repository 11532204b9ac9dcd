//! A request as it arrived, with what every decision needs read once.

use std::sync::Arc;

use super::answer::{AnswerBase, answer_flow, transaction_key};
use super::dialog::LocalTag;
use super::event::{IncomingCall, RefusedRequest};
use super::flow::Flow;
use super::trunk::Trunk;
use crate::wire::sip::{HeaderName, Method, NameAddr, Request, Uri, ValueError, Via};

/// The longest text of a message that goes into an event, in characters: more than a number, a name or a Call-ID needs.
const TEXT_CHARS_MAX: usize = 128;

#[derive(Debug)]
pub(super) struct Arrival {
    pub flow: Flow,
    /// The name of the trunk that sent it, and whether that is believed; `None` for a stranger.
    pub trunk: Option<(Arc<str>, bool)>,
    /// How many bytes it had: strangers get no longer answer.
    pub bytes: usize,
    pub request: Request,
    pub via: Via,
    pub from: NameAddr,
    pub to: NameAddr,
    pub sequence: u32,
}

impl Arrival {
    pub fn new(flow: &Flow, trunk: Option<&Trunk>, bytes: usize, request: Request) -> Result<Arrival, ValueError> {
        Ok(Arrival {
            flow: *flow,
            trunk: trunk.map(|trunk| (trunk.name.clone(), trunk.vouches)),
            bytes,
            via: request.headers.top_via()?,
            from: request.headers.from()?,
            to: request.headers.to()?,
            sequence: request.headers.cseq()?.number,
            request,
        })
    }

    pub fn is_trusted(&self) -> bool {
        self.trunk.is_some()
    }

    pub fn call_id(&self) -> &[u8] {
        self.request.headers.call_id().map_or(b"", |call_id| &call_id[..])
    }

    /// To's tag, where it is one of ours.
    pub fn local_tag(&self) -> Option<LocalTag> {
        self.to.tag().and_then(|tag| LocalTag::parse(tag))
    }

    pub fn answer_base(&self) -> AnswerBase {
        AnswerBase::new(&self.request.headers, Some(&self.via), &self.flow)
    }

    pub fn answer_flow(&self) -> Flow {
        answer_flow(&self.flow, &self.via)
    }

    /// The key of its transaction; an ACK has the one of its INVITE.
    pub fn transaction_key(&self) -> Vec<u8> {
        match self.request.method {
            Method::Ack => self.invite_transaction_key(),
            ref method => transaction_key(&self.request, &self.via, method.as_str()),
        }
    }

    /// The key of the INVITE that a CANCEL or ACK belongs to.
    pub fn invite_transaction_key(&self) -> Vec<u8> {
        transaction_key(&self.request, &self.via, Method::Invite.as_str())
    }

    /// What an INVITE without a To tag is recognized by when it comes again, late or by another way: Call-ID and From tag.
    pub fn invite_key(&self) -> Box<[u8]> {
        let mut key = self.call_id().to_vec();
        key.push(0);
        key.extend_from_slice(self.from.tag().map_or(b"", |tag| &tag[..]));
        key.into()
    }

    /// What the engine is told of a call.
    pub fn incoming_call(&self, peer_rtp: Option<std::net::IpAddr>) -> IncomingCall {
        let (trunk, vouches) = self.trunk.clone().unwrap_or_else(|| ("".into(), false));
        let display = self.from.display.as_deref().unwrap_or_default();
        IncomingCall {
            flow: self.flow,
            trunk,
            caller: user_text(&self.from.uri),
            caller_display: bounded(&String::from_utf8_lossy(display)),
            called: user_text(&self.request.uri),
            sip_call_id: bounded(&String::from_utf8_lossy(self.call_id())),
            asserted_identity: self.asserted_identity().filter(|_| vouches),
            offer: peer_rtp.is_some(),
            peer_rtp,
        }
    }

    /// The first P-Asserted-Identity that is a SIP URI with a user, as `user@host`; else a `tel:` one, as its number.
    fn asserted_identity(&self) -> Option<String> {
        let values = self.request.headers.values(&HeaderName::PAssertedIdentity);
        let identities: Vec<NameAddr> = values.filter_map(|value| NameAddr::parse(value).ok()).collect();
        let sip = identities.iter().find_map(|identity| {
            let user = identity.uri.user()?;
            Some(bounded(&format!("{user}@{}", identity.uri.as_sip()?.host)))
        });
        sip.or_else(|| identities.iter().find_map(|identity| Some(bounded(&identity.uri.user()?))))
    }

    /// Over UDP anybody can write anybody's address on a request; a tag of ours shows that he has read our answers.
    pub fn may_be_forged(&self) -> bool {
        !self.flow.transport.is_reliable() && self.to.tag().is_none()
    }

    /// For the log.
    pub fn refused(&self, why: String) -> RefusedRequest {
        RefusedRequest {
            flow: self.flow,
            method: bounded(self.request.method.as_str()),
            status: None,
            caller: Some(user_text(&self.from.uri)),
            called: Some(user_text(&self.request.uri)),
            sip_call_id: Some(bounded(&String::from_utf8_lossy(self.call_id()))),
            why,
            suppressed: 0,
        }
    }
}

/// The user or number of a URI; its host, or the whole of it, where it has none.
pub(super) fn user_text(uri: &Uri) -> String {
    match (uri.user(), uri.as_sip()) {
        (Some(user), _) => bounded(&user),
        (None, Some(uri)) => bounded(&uri.host.to_string()),
        (None, None) => bounded(&uri.to_string()),
    }
}

/// Text of a message for people: no control characters, which could forge lines of a log, and not too much of it.
pub(super) fn bounded(text: &str) -> String {
    let is_fit = text.len() <= TEXT_CHARS_MAX && !text.contains(char::is_control);
    if is_fit {
        return text.to_owned();
    }
    text.chars()
        .take(TEXT_CHARS_MAX)
        .map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character })
        .collect()
}
