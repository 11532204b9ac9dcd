//! The media side of every call: RTP in, digits out, prompts, hold music and the meeting's mix back. Pure: sockets, clock
//! and randomness come in as arguments, packets go out through a closure, and nothing on the way of a packet allocates.
//!
//! ```text
//!             datagram                                              datagram
//!                │                                                     ▲
//!          ┌─────▼─────┐   ┌────────┐   ┌─────────┐   ┌───────┐   ┌────┴───┐
//!  leg:    │ binding,  ├──►│ jitter ├──►│ playout ├──►│ level ├─┐ │ sender │
//!          │ receiver  │   │ buffer │   │ (+ con- │   │ gate  │ │ └────▲───┘
//!          │           │   └────────┘   │ cealing)│   └───────┘ │      │  source: prompt, music, silence by cursor
//!          └─────┬─────┘                └────┬────┘             │      │
//!           dtmf/events                 dtmf/tones         ┌────▼──────┴──┐
//!                └──────► dtmf/merge ◄───────┘             │ floor, mixer:│  one per meeting
//!                             │                            │ mix-minus,   │
//!                           Digit                          │ limiter      │
//!                                                          └──────────────┘
//!  plane:  all legs and meetings of one media thread; commands in, events out, one tick each 20 ms
//!  router, station:  several planes, and the legs that move between them
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`router`] | several planes: which call and which meeting is where |
//! | [`station`] | a plane as one of several: legs that come and go |
//! | [`plane`] | every leg and meeting of one media thread; the 20 ms tick |
//! | [`leg`] | one call's media: who is believed, what he sends, where it goes |
//! | [`voice`], [`wide_voice`] | what is heard of a caller; his voice at 16 kHz |
//! | [`ear`] | what a caller hears |
//! | [`binding`] | which source is believed |
//! | [`receiver`] | what is counted about its stream |
//! | [`jitter`] | packets in the order of their timestamps |
//! | [`received_frame`] | one frame of them, still encoded, with its holes |
//! | [`comfort_noise`] | a telephone's silence, as it tells of it |
//! | [`playout`] | which 20 ms of them are due now; the delay follows the network |
//! | [`concealment`] | what stands in for what was lost |
//! | [`level`] | who speaks: the gate before decoding and mixing |
//! | [`loudness`] | how loud he is, and the gain that brings him to where all others are |
//! | [`floor`] | which of those who speak are heard: the loudest few |
//! | [`mixer`] | the sum, the sum without oneself, the limiter, and the noise of a line that is not dead |
//! | [`resample`] | 8 kHz and 16: who has G.722 and who has G.711 in one meeting |
//! | [`source`] | prompts, music and chimes, encoded once, played by cursor |
//! | [`g722_line`] | one G.722 encoder for all who hear the same, and none breaks off |
//! | [`opus_line`] | the same for Opus, whose decoders bear more |
//! | [`sender`] | the RTP and RTCP that leaves |
//! | [`dtmf`] | key presses from events, INFO and tones |

pub mod binding;
pub mod comfort_noise;
pub mod concealment;
pub mod dtmf;
pub mod ear;
pub mod floor;
pub mod g722_line;
pub mod jitter;
pub mod leg;
pub mod level;
pub mod loudness;
pub mod mixer;
pub mod opus_line;
pub mod plane;
pub mod playout;
pub mod received_frame;
pub mod receiver;
pub mod resample;
pub mod router;
pub mod sender;
pub mod source;
pub mod station;
pub mod voice;
pub mod wide_voice;

use std::net::{IpAddr, SocketAddr};

use crate::words::ids::{CallKey, MeetingKey, PlaybackKey};
use crate::words::media::{DigitMethod, LegStatistics, NegotiatedMedia};
use crate::words::prompt::{Chime, Prompt};
use crate::words::secret::Digit;

pub use plane::{Plane, PlaneSettings};
pub use router::Router;
pub use source::Sounds;
pub use station::Station;

/// What control tells a media plane. A command that names a call or meeting that is gone does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaneCommand {
    /// A leg comes to be; it hears silence, and sends nothing until its media is negotiated.
    Open { call: CallKey },
    /// Offer and answer agreed, for the first time or anew (hold, changed address). The learning window opens again.
    /// `signalled_from`: where the call's SIP comes from.
    Negotiate { call: CallKey, media: Box<NegotiatedMedia>, signalled_from: IpAddr },
    /// What the call hears when nothing is played to it alone. [`Background::Meeting`] is [`PlaneCommand::Admit`] of one.
    Background { call: CallKey, background: Background },
    /// Plays prompts to this call alone, in front of its background, in place of what was being played. Ends with
    /// [`PlaneEvent::PlaybackFinished`], unless it is stopped or replaced.
    Play { call: CallKey, playback: PlaybackKey, prompts: Box<[Prompt]> },
    /// Barge-in: what is being played ends now, without an event.
    StopPlayback { call: CallKey },
    /// A key that came by SIP INFO. It joins the merge here, so that one press is one digit.
    InfoDigit { call: CallKey, digit: Digit, duration_ms: u32 },
    /// The call waits for this meeting: its leg goes to the meeting's media thread, so that the start is one command.
    Gather { call: CallKey, meeting: MeetingKey },
    /// From the next tick on all of these are in the meeting: they hear it and are heard. Music and prompts that they
    /// hear end, faded over one frame.
    Admit { meeting: MeetingKey, calls: Box<[CallKey]> },
    /// A muted call is not heard in its meeting.
    Mute { call: CallKey, muted: bool },
    /// Everybody in the meeting hears this.
    Chime { meeting: MeetingKey, chime: Chime },
    /// The leg ends: [`PlaneEvent::Closed`] follows.
    Close { call: CallKey },
    /// Tell how every leg does: [`PlaneEvent::Survey`] follows. For people who look on, so a few times a second at most.
    Survey,
}

/// How one leg does.
#[derive(Debug, Clone, PartialEq)]
pub struct LegSurvey {
    pub call: CallKey,
    /// The loudest that came of the caller since the survey before, in decibels of full scale.
    pub level_db: i8,
    /// What a packet of his waits for others at least.
    pub delay_ms: u32,
    pub statistics: LegStatistics,
}

/// What a call hears behind the prompts that are played to it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    Silence,
    Music,
    Meeting(MeetingKey),
}

/// What a media plane tells control.
#[derive(Debug, Clone, PartialEq)]
pub enum PlaneEvent {
    /// A key was pressed, once per press whichever ways it came.
    Digit { call: CallKey, digit: Digit, method: DigitMethod },
    /// The last frame of the last prompt of this playback was sent.
    PlaybackFinished { call: CallKey, playback: PlaybackKey },
    /// The first valid packet came: from now on the call is heard. `as_agreed`: from the address of its SDP; otherwise
    /// from where the peer's address translation sends it, and we send there.
    SourceBound { call: CallKey, source: SocketAddr, as_agreed: bool },
    /// The caller is heard in his meeting now, or no longer is. Told within 100 ms of his first word; a pause between
    /// two words is none.
    Talking { call: CallKey, talking: bool },
    /// The legs of one thread.
    Survey { legs: Box<[LegSurvey]> },
    /// Nothing was received for [`PlaneSettings::media_silent_after`] although the peer should send. Once per silence.
    MediaSilent { call: CallKey },
    /// The leg is gone, and its ports are free. Exactly once per `Open`, after `Close`.
    Closed { call: CallKey, statistics: LegStatistics },
}
