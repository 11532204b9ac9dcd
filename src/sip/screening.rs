//! May this request be looked at? The order of the questions is that of RFC 3261 section 8.2.

use super::arrival::Arrival;
use super::body::session_description;
use super::common::SUPPORTED;
use super::offer_answer::Unacceptable;
use super::rejection::Rejection;
use super::session_timer::{Refresher, SessionInterval, TimerRequest, TimerWish, agree};
use crate::wire::sdp::SessionDescription;
use crate::wire::sip::{HeaderName, Headers, MediaType, Method, Refresher as RefresherParam, Uri};

/// What one call keeps of its INVITE's text: twice what the largest in RFC 4475 has.
const DIALOG_BYTES_MAX: usize = 6 * 1024;

/// What an INVITE or UPDATE asks for.
#[derive(Debug)]
pub(super) struct SessionRequest {
    pub offer: Option<SessionDescription>,
    pub interval: Option<SessionInterval>,
}

/// Method and Request-URI (sections 8.2.1 and 8.2.2.1): asked of everything.
pub(super) fn screen_request_line(arrival: &Arrival) -> Result<(), Rejection> {
    match &arrival.request.method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Info
        | Method::Update => {}
        other => return Err(Rejection::method_not_allowed(other.as_str())),
    }
    match &arrival.request.uri {
        Uri::Sip(_) | Uri::Tel(_) => Ok(()),
        Uri::Other(_) => Err(Rejection::new(416, "the Request-URI's scheme is unknown")),
    }
}

/// Section 8.2.2.3. A CANCEL must not be refused for it.
pub(super) fn screen_require(headers: &Headers) -> Result<(), Rejection> {
    let unknown: Vec<&[u8]> = headers
        .values(&HeaderName::Require)
        .filter(|extension| !extension.eq_ignore_ascii_case(SUPPORTED.as_bytes()))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Rejection::new(420, "an extension is required that is not known here")
        .with(HeaderName::Unsupported, unknown.join(&b", "[..])))
}

/// What an INVITE must be besides, whether it is new or in a dialog, and what an UPDATE must be.
pub(super) fn screen_session_request(arrival: &Arrival, wish: TimerWish) -> Result<SessionRequest, Rejection> {
    let headers = &arrival.request.headers;
    screen_require(headers)?;
    let takes_descriptions = |range: &[u8]| MediaType::parse(range).is_ok_and(|range| range.admits("application/sdp"));
    if headers.contains(&HeaderName::Accept) && !headers.values(&HeaderName::Accept).any(takes_descriptions) {
        return Err(Rejection::new(406, "the caller does not accept session descriptions"));
    }
    let offer = session_description(headers, &arrival.request.body)?
        .map(|body| SessionDescription::parse(&body))
        .transpose()
        .map_err(Unacceptable::malformed)?;
    let interval = agree(timer_request(headers)?, wish)?;
    Ok(SessionRequest { offer, interval })
}

/// Max-Forwards asks nothing of whoever a request has arrived at (section 16.3 speaks of proxies), and OPTIONS with 0 is
/// the trace-route of section 11. A call that has used up its hops has been round in circles: 483.
pub(super) fn screen_hops(arrival: &Arrival) -> Result<(), Rejection> {
    match arrival.request.headers.max_forwards() {
        Ok(Some(0)) => Err(Rejection::new(483, "Max-Forwards is used up")),
        _ => Ok(()),
    }
}

/// A session keeps these headers while the call lasts; the rest of its INVITE is gone with the answer.
pub(super) fn screen_size(arrival: &Arrival) -> Result<(), Rejection> {
    const KEPT: [HeaderName; 6] = [
        HeaderName::Via,
        HeaderName::CallId,
        HeaderName::From,
        HeaderName::To,
        HeaderName::Contact,
        HeaderName::RecordRoute,
    ];
    let headers = arrival.request.headers.iter();
    let kept: usize = headers.filter(|header| KEPT.contains(&header.name)).map(|header| header.value.len()).sum();
    if kept > DIALOG_BYTES_MAX {
        return Err(Rejection::new(513, "its addresses and routes are larger than a call may keep"));
    }
    Ok(())
}

fn timer_request(headers: &Headers) -> Result<TimerRequest, Rejection> {
    let expires = headers.session_expires().map_err(|error| Rejection::new(400, error.to_string()))?;
    let min_s = headers.min_se().map_err(|error| Rejection::new(400, error.to_string()))?;
    Ok(TimerRequest {
        supported: headers.has_token(&HeaderName::Supported, SUPPORTED)
            || headers.has_token(&HeaderName::Require, SUPPORTED),
        expires_s: expires.map(|expires| expires.interval_s),
        refresher: expires.and_then(|expires| expires.refresher).map(|refresher| match refresher {
            RefresherParam::Uac => Refresher::Peer,
            RefresherParam::Uas => Refresher::Us,
        }),
        min_s,
    })
}
