//! Session timers (RFC 4028): a call whose peer has vanished ends, since nobody refreshes it.
//!
//! ```text
//!   peer refreshes                             we refresh
//!   ├──────────── interval ────────────┤       ├──────────── interval ────────────┤
//!   200        (refresh due)     BYE   │       200       UPDATE             BYE   │
//!                  1/2        margin ◄─┤                   1/2        margin ◄─┤
//! ```
//!
//! Each refresh (a re-INVITE or UPDATE and its 2xx) agrees anew and starts the interval again. The margin is the smaller of
//! 32 s and a third of the interval (section 10).

use std::time::Duration;

/// Section 5: no interval may be shorter.
pub(super) const INTERVAL_S_MIN: u32 = 90;

/// A day: nothing is gained by longer ones, and sums with them stay far from any overflow.
const INTERVAL_S_MAX: u32 = 86_400;

/// Which side keeps the session alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresher {
    Us,
    Peer,
}

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionInterval {
    pub interval_s: u32,
    pub refresher: Refresher,
}

impl SessionInterval {
    pub fn refresh_after(&self) -> Option<Duration> {
        (self.refresher == Refresher::Us).then(|| Duration::from_secs(u64::from(self.interval_s / 2)))
    }

    pub fn expire_after(&self) -> Duration {
        let margin = (self.interval_s / 3).min(32);
        Duration::from_secs(u64::from(self.interval_s.saturating_sub(margin)))
    }
}

/// What an INVITE or UPDATE says about session timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TimerRequest {
    /// `timer` is in its Supported (or Require).
    pub supported: bool,
    /// Session-Expires, in seconds.
    pub expires_s: Option<u32>,
    /// The refresher it names: `Peer` for `uac`, `Us` for `uas`.
    pub refresher: Option<Refresher>,
    /// Min-SE, in seconds.
    pub min_s: Option<u32>,
}

/// What this end wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerWish {
    pub expires_s: Option<u32>,
    pub min_s: u32,
}

/// The interval is too small for us: 422 with this Min-SE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IntervalTooSmall {
    pub min_s: u32,
}

/// What the UAS answers (section 9). `None`: no session timer.
pub(super) fn agree(request: TimerRequest, wish: TimerWish) -> Result<Option<SessionInterval>, IntervalTooSmall> {
    let min_s = wish.min_s.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
    let peer_min_s = request.min_s.unwrap_or(0).clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
    let interval_s = match request.expires_s {
        // A UAC that does not know the extension can't read a 422: a proxy on the way asked, and we refresh.
        Some(asked) if asked < min_s && request.supported => return Err(IntervalTooSmall { min_s }),
        // We may shorten what was asked for, not below the request's Min-SE.
        Some(asked) => asked.min(wish.expires_s.unwrap_or(INTERVAL_S_MAX).max(peer_min_s)),
        // Who does not know the extension is refreshed by us (section 9): a caller who put us on hold and vanished would
        // stay for ever, since nobody expects voice of him.
        None => match wish.expires_s {
            Some(ours) => ours.max(peer_min_s),
            None => return Ok(None),
        },
    };
    let refresher = match request.refresher {
        _ if !request.supported => Refresher::Us,
        Some(named) => named,
        None => Refresher::Peer,
    };
    Ok(Some(SessionInterval { interval_s: interval_s.clamp(min_s, INTERVAL_S_MAX), refresher }))
}

/// What the UAC takes from a 2xx (section 7.2). `refresher` is as the answer names it, seen from us: `Us` for `uac`.
pub(super) fn take_answer(expires_s: Option<u32>, refresher: Option<Refresher>) -> Option<SessionInterval> {
    let interval_s = expires_s?.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
    Some(SessionInterval { interval_s, refresher: refresher.unwrap_or(Refresher::Us) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: TimerWish = TimerWish { expires_s: Some(1800), min_s: 90 };

    fn agreed(request: TimerRequest, wish: TimerWish) -> Option<(u32, Refresher)> {
        agree(request, wish).unwrap().map(|it| (it.interval_s, it.refresher))
    }

    #[test]
    fn the_table_of_section_9() {
        let supported = TimerRequest { supported: true, ..TimerRequest::default() };
        let cases = [
            // Nobody asks: we do the work.
            (TimerRequest::default(), Some((1800, Refresher::Us))),
            // We ask, and leave the work to the peer.
            (supported, Some((1800, Refresher::Peer))),
            (TimerRequest { min_s: Some(3600), ..supported }, Some((3600, Refresher::Peer))),
            (TimerRequest { expires_s: Some(600), ..supported }, Some((600, Refresher::Peer))),
            (
                TimerRequest { expires_s: Some(600), refresher: Some(Refresher::Us), ..supported },
                Some((600, Refresher::Us)),
            ),
            (
                TimerRequest { expires_s: Some(600), refresher: Some(Refresher::Peer), ..supported },
                Some((600, Refresher::Peer)),
            ),
            // Longer than ours is shortened, not below the Min-SE that came with it.
            (TimerRequest { expires_s: Some(7200), ..supported }, Some((1800, Refresher::Peer))),
            (TimerRequest { expires_s: Some(7200), min_s: Some(3600), ..supported }, Some((3600, Refresher::Peer))),
            // A proxy asks for a UAC that can't.
            (TimerRequest { expires_s: Some(600), ..TimerRequest::default() }, Some((600, Refresher::Us))),
            (TimerRequest { expires_s: Some(5), ..TimerRequest::default() }, Some((90, Refresher::Us))),
            (
                TimerRequest { expires_s: Some(u32::MAX), min_s: Some(u32::MAX), ..supported },
                Some((86_400, Refresher::Peer)),
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(agreed(request, WISH), expected, "{request:?}");
        }
        let passive = TimerWish { expires_s: None, min_s: 90 };
        assert_eq!(agreed(supported, passive), None);
        assert_eq!(agreed(TimerRequest::default(), passive), None);
        assert_eq!(agreed(TimerRequest { expires_s: Some(7200), ..supported }, passive), Some((7200, Refresher::Peer)));
    }

    #[test]
    fn too_small_an_interval_is_refused_with_ours() {
        let request = TimerRequest { supported: true, expires_s: Some(89), ..TimerRequest::default() };
        assert_eq!(agree(request, WISH), Err(IntervalTooSmall { min_s: 90 }));
        assert_eq!(agree(request, TimerWish { min_s: 10, ..WISH }), Err(IntervalTooSmall { min_s: 90 }));
    }

    #[test]
    fn the_refresh_comes_at_half_time_and_the_end_before_the_end() {
        let ours = SessionInterval { interval_s: 1800, refresher: Refresher::Us };
        assert_eq!(ours.refresh_after(), Some(Duration::from_secs(900)));
        assert_eq!(ours.expire_after(), Duration::from_secs(1768));
        let theirs = SessionInterval { interval_s: 90, refresher: Refresher::Peer };
        assert_eq!((theirs.refresh_after(), theirs.expire_after()), (None, Duration::from_secs(60)));
    }

    #[test]
    fn the_answer_names_the_refresher_and_we_are_it_where_it_does_not() {
        assert_eq!(take_answer(None, Some(Refresher::Us)), None);
        assert_eq!(take_answer(Some(1800), None).unwrap().refresher, Refresher::Us);
        assert_eq!(take_answer(Some(1800), Some(Refresher::Peer)).unwrap().refresher, Refresher::Peer);
        assert_eq!(take_answer(Some(0), None).unwrap().interval_s, 90);
    }
}
