//! A plane as one of several: legs come from others and go to others, by value, with what belongs to them.
//!
//! A leg on its way is nowhere, and its commands may come before it. They wait, in their order, until the leg is where it
//! belongs:
//!
//! ```text
//!   Expect(call) ─► held ─ Background, Play, Chime … ─► kept ─ Arrive(leg) ─► carried out, in the order they came
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use super::leg::Leg;
use super::{Background, Plane, PlaneCommand};
use crate::words::ids::{CallKey, MeetingKey};

/// Commands that wait for one leg. That takes a tick or two, in which control sends a handful.
const HELD_COMMANDS_MAX: usize = 256;

/// What a station is told. `S`: what belongs to a leg and goes where it goes (its sockets).
#[derive(Debug)]
pub enum Message<S> {
    Plane(PlaneCommand),
    /// A leg comes to be.
    Open {
        call: CallKey,
        sockets: S,
    },
    /// The leg goes to another station, which has been told to expect it.
    Move {
        call: CallKey,
        to: usize,
    },
    Expect {
        call: CallKey,
    },
    Arrive(Box<MovedLeg<S>>),
    /// The expected leg was not where it was looked for.
    ExpectNoLonger {
        call: CallKey,
    },
}

/// A leg on its way between two stations.
pub struct MovedLeg<S> {
    leg: Box<Leg>,
    sockets: S,
}

/// Without what the leg hears and plays.
impl<S> std::fmt::Debug for MovedLeg<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the leg of {}", self.leg.call())
    }
}

/// Brings a message to another station. `Err` gives it back: there is no room for it now.
pub type Send<'a, S> = &'a mut dyn FnMut(usize, Message<S>) -> Result<(), Message<S>>;

/// A plane, what belongs to its legs, and the legs that are on their way.
pub struct Station<S> {
    plane: Plane,
    /// By the plane's slots.
    sockets: Vec<Option<S>>,
    // Ordered, so that one seed gives one transcript.
    held: BTreeMap<CallKey, Held<S>>,
    commands_lost: u64,
}

/// A call whose commands wait until its leg is where it belongs.
struct Held<S> {
    until: HeldUntil,
    commands: Vec<Message<S>>,
}

#[derive(Clone, Copy)]
enum HeldUntil {
    /// The leg comes from another station.
    Arrival,
    /// The station that it goes to has room for it. Until then it is served here.
    Room(usize),
}

impl<S> Station<S> {
    pub fn new(plane: Plane) -> Station<S> {
        Station { plane, sockets: Vec::new(), held: BTreeMap::new(), commands_lost: 0 }
    }

    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// The plane, and what belongs to its legs by its slots.
    pub fn parts(&mut self) -> (&mut Plane, &mut [Option<S>]) {
        (&mut self.plane, &mut self.sockets)
    }

    /// Calls whose legs are on their way.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Commands that were dropped because too many waited for one leg.
    pub fn commands_lost(&self) -> u64 {
        self.commands_lost
    }

    /// Takes a message. Returns the slot of a leg that came, or whose media was negotiated: the source that it listens to
    /// may be another now.
    pub fn handle(&mut self, now: Instant, message: Message<S>, send: Send<'_, S>) -> Option<usize> {
        match message {
            Message::Plane(PlaneCommand::Admit { meeting, calls }) if !self.held.is_empty() => {
                for call in calls {
                    let background = Background::Meeting(meeting);
                    self.handle(now, Message::Plane(PlaneCommand::Background { call, background }), send);
                }
                None
            }
            Message::Arrive(moved) => self.take_in(now, *moved, send),
            Message::ExpectNoLonger { call } => {
                self.held.remove(&call);
                None
            }
            message => match self.held_by(&message) {
                Some(held) if held.commands.len() < HELD_COMMANDS_MAX => {
                    held.commands.push(message);
                    None
                }
                Some(_) => {
                    self.commands_lost += 1;
                    None
                }
                None => self.carry_out(now, message, send),
            },
        }
    }

    /// Legs whose new station had no room for them are sent again.
    pub fn retry_moves(&mut self, now: Instant, send: Send<'_, S>) {
        if self.held.is_empty() {
            return;
        }
        let ready = |(&call, held): (&CallKey, &Held<S>)| match held.until {
            HeldUntil::Room(to) => Some((call, to)),
            HeldUntil::Arrival => None,
        };
        let waiting: Vec<_> = self.held.iter().filter_map(ready).collect();
        for (call, to) in waiting {
            if self.move_leg(call, to, send) {
                self.release(now, call, send);
            }
        }
    }

    /// What belonged to legs that closed is let go.
    pub fn drop_sockets_of_closed(&mut self) {
        for (slot, place) in self.sockets.iter_mut().enumerate() {
            if !self.plane.has_leg(slot) {
                *place = None;
            }
        }
    }

    /// The call that this message has to wait for, if there is one. A chime waits for whoever is on his way into its
    /// meeting, so that he hears it too.
    fn held_by(&mut self, message: &Message<S>) -> Option<&mut Held<S>> {
        if self.held.is_empty() {
            return None;
        }
        if let Message::Plane(PlaneCommand::Chime { meeting, .. }) = message {
            return self.held.values_mut().find(|held| held.commands.iter().any(|command| enters(command, *meeting)));
        }
        self.held.get_mut(&call_of(message)?)
    }

    fn carry_out(&mut self, now: Instant, message: Message<S>, send: Send<'_, S>) -> Option<usize> {
        match message {
            Message::Plane(command) => {
                let negotiated = match command {
                    PlaneCommand::Negotiate { call, .. } => Some(call),
                    _ => None,
                };
                self.plane.handle_command(now, command);
                negotiated.and_then(|call| self.plane.slot_of(call))
            }
            Message::Open { call, sockets } => {
                self.plane.handle_command(now, PlaneCommand::Open { call });
                let slot = self.plane.slot_of(call)?;
                self.keep_sockets(slot, sockets);
                Some(slot)
            }
            Message::Expect { call } => {
                self.held.insert(call, Held { until: HeldUntil::Arrival, commands: Vec::new() });
                None
            }
            Message::Move { call, to } => {
                if !self.move_leg(call, to, send) {
                    self.held.insert(call, Held { until: HeldUntil::Room(to), commands: Vec::new() });
                }
                None
            }
            Message::Arrive(_) | Message::ExpectNoLonger { .. } => None,
        }
    }

    fn keep_sockets(&mut self, slot: usize, sockets: S) {
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.sockets.get_mut(slot) {
            *place = Some(sockets);
        }
    }

    /// Takes in a leg with what belongs to it, and carries out what waited for it. The commands can send it on, and expect
    /// it back: what comes behind that waits again.
    fn take_in(&mut self, now: Instant, moved: MovedLeg<S>, send: Send<'_, S>) -> Option<usize> {
        let MovedLeg { leg, sockets } = moved;
        let call = leg.call();
        let slot = self.plane.insert_leg(leg);
        self.keep_sockets(slot, sockets);
        self.release(now, call, send);
        self.plane.slot_of(call)
    }

    fn release(&mut self, now: Instant, call: CallKey, send: Send<'_, S>) {
        let waiting = self.held.remove(&call).map(|held| held.commands);
        for command in waiting.unwrap_or_default() {
            self.handle(now, command, send);
        }
    }

    /// Sends a leg to another station. `false`: that has no room for it now.
    fn move_leg(&mut self, call: CallKey, to: usize, send: Send<'_, S>) -> bool {
        let found = self.plane.slot_of(call);
        let taken = self.plane.take_leg(call).zip(found.and_then(|slot| self.sockets.get_mut(slot)?.take()));
        let message = match taken {
            Some((leg, sockets)) => Message::Arrive(Box::new(MovedLeg { leg, sockets })),
            None => Message::ExpectNoLonger { call },
        };
        let Err(message) = send(to, message) else { return true };
        if let Message::Arrive(moved) = message {
            let MovedLeg { leg, sockets } = *moved;
            let slot = self.plane.insert_leg(leg);
            self.keep_sockets(slot, sockets);
        }
        false
    }
}

/// The call whose leg the message is about.
fn call_of<S>(message: &Message<S>) -> Option<CallKey> {
    match message {
        Message::Open { call, .. } | Message::Move { call, .. } | Message::Expect { call } => Some(*call),
        Message::Plane(
            PlaneCommand::Open { call }
            | PlaneCommand::Negotiate { call, .. }
            | PlaneCommand::Background { call, .. }
            | PlaneCommand::Play { call, .. }
            | PlaneCommand::StopPlayback { call }
            | PlaneCommand::InfoDigit { call, .. }
            | PlaneCommand::Gather { call, .. }
            | PlaneCommand::Mute { call, .. }
            | PlaneCommand::Close { call },
        ) => Some(*call),
        Message::Plane(PlaneCommand::Admit { .. } | PlaneCommand::Chime { .. } | PlaneCommand::Survey)
        | Message::Arrive(_)
        | Message::ExpectNoLonger { .. } => None,
    }
}

/// The message makes its call a member of this meeting.
fn enters<S>(message: &Message<S>, meeting: MeetingKey) -> bool {
    matches!(message, Message::Plane(PlaneCommand::Background { background: Background::Meeting(entered), .. })
        if *entered == meeting)
}
