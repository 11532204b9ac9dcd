//! Which station every call and every meeting is at: the control side of several planes.
//!
//! A call's leg is opened at the station with the fewest legs. A meeting is where its first caller is; whoever comes to wait
//! for it later is moved there, so that its start is one command to one station. A leg moves by value:
//!
//! ```text
//!   control            old station                        new station
//!      │── expect leg ────────────────────────────────────►│
//!      │── move leg ───►│                                  │
//!      │                │── leg and sockets ──────────────►│
//!      │── commands for the call ─────────────────────────►│  wait there for the leg, if they come first
//! ```

use std::collections::HashMap;

use super::station::Message;
use super::{Background, PlaneCommand};
use crate::words::ids::{CallKey, MeetingKey};

/// The books about all stations. What it sends to one of them has to come there in its order.
#[derive(Debug)]
pub struct Router {
    /// How many legs each has.
    stations: Vec<usize>,
    calls: HashMap<CallKey, RoutedCall>,
    meetings: HashMap<MeetingKey, RoutedMeeting>,
}

/// Where a call's leg is, or is on its way to.
#[derive(Debug, Clone, Copy)]
struct RoutedCall {
    station: usize,
    meeting: Option<MeetingKey>,
}

#[derive(Debug)]
struct RoutedMeeting {
    station: usize,
    calls: usize,
}

impl Router {
    pub fn new(stations: usize) -> Router {
        Router { stations: vec![0; stations.max(1)], calls: HashMap::new(), meetings: HashMap::new() }
    }

    /// Books a new call, and says at which station its leg is to be opened.
    pub fn open(&mut self, call: CallKey) -> usize {
        let fewest = self.stations.iter().enumerate().min_by_key(|&(_, legs)| *legs);
        let station = fewest.map_or(0, |(station, _)| station);
        self.calls.insert(call, RoutedCall { station, meeting: None });
        self.count_leg(station, 1);
        station
    }

    /// Sends a command to the station of its call or meeting; what has to move for it, moves. A command for a call or a
    /// meeting that is not here does nothing.
    pub fn route<S>(&mut self, command: PlaneCommand, send: &mut dyn FnMut(usize, Message<S>)) {
        let station = match &command {
            // `open` has booked it, and whoever has the sockets opens it.
            PlaneCommand::Open { .. } => None,
            PlaneCommand::Survey => {
                (0..self.stations.len()).for_each(|station| send(station, Message::Plane(PlaneCommand::Survey)));
                None
            }
            PlaneCommand::Gather { call, meeting } => {
                self.gather(*call, *meeting, send);
                None
            }
            PlaneCommand::Admit { meeting, calls } => {
                calls.iter().fold(None, |found, &call| self.gather(call, *meeting, send).or(found))
            }
            PlaneCommand::Background { call, background: Background::Meeting(meeting) } => {
                self.gather(*call, *meeting, send)
            }
            PlaneCommand::Chime { meeting, .. } => self.meetings.get(meeting).map(|meeting| meeting.station),
            PlaneCommand::Negotiate { call, .. }
            | PlaneCommand::Background { call, .. }
            | PlaneCommand::Play { call, .. }
            | PlaneCommand::StopPlayback { call }
            | PlaneCommand::InfoDigit { call, .. }
            | PlaneCommand::Mute { call, .. }
            | PlaneCommand::Close { call } => self.calls.get(call).map(|routed| routed.station),
        };
        if let Some(station) = station {
            send(station, Message::Plane(command));
        }
    }

    /// The call's leg is gone.
    pub fn closed(&mut self, call: CallKey) {
        if let Some(routed) = self.calls.remove(&call) {
            self.leave(routed.meeting);
            self.count_leg(routed.station, -1);
        }
    }

    /// Where a call's leg is, or is on its way to.
    pub fn station_of(&self, call: CallKey) -> Option<usize> {
        self.calls.get(&call).map(|routed| routed.station)
    }

    /// How many legs each station has.
    pub fn legs(&self) -> &[usize] {
        &self.stations
    }

    /// How many calls and meetings are booked. None of either when the last call's leg is gone.
    pub fn booked(&self) -> (usize, usize) {
        (self.calls.len(), self.meetings.len())
    }

    /// Books the call among those of the meeting, and has its leg moved to the meeting's station. Returns that; `None`: the
    /// call is not here.
    fn gather<S>(
        &mut self,
        call: CallKey,
        meeting: MeetingKey,
        send: &mut dyn FnMut(usize, Message<S>),
    ) -> Option<usize> {
        let RoutedCall { station: from, meeting: before } = *self.calls.get(&call)?;
        if before != Some(meeting) {
            let gathered = self.meetings.entry(meeting).or_insert(RoutedMeeting { station: from, calls: 0 });
            gathered.calls += 1;
            self.leave(before);
        }
        let to = self.meetings.get(&meeting)?.station;
        self.calls.insert(call, RoutedCall { station: to, meeting: Some(meeting) });
        if from != to {
            send(to, Message::Expect { call });
            send(from, Message::Move { call, to });
            self.count_leg(from, -1);
            self.count_leg(to, 1);
        }
        Some(to)
    }

    fn leave(&mut self, meeting: Option<MeetingKey>) {
        let Some(key) = meeting else { return };
        if let Some(left) = self.meetings.get_mut(&key) {
            left.calls = left.calls.saturating_sub(1);
            if left.calls == 0 {
                self.meetings.remove(&key);
            }
        }
    }

    fn count_leg(&mut self, station: usize, change: isize) {
        if let Some(legs) = self.stations.get_mut(station) {
            *legs = legs.saturating_add_signed(change);
        }
    }
}
