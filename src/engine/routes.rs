//! Which effect of one core is which input of another. Nothing is decided here.

use std::time::Instant;

use super::call::{Call, Stage};
use super::deadlines::Owner;
use super::engine::{Engine, Origin, Output};
use crate::attendant::{self, keypad};
use crate::media::{Background, PlaneCommand};
use crate::meeting;
use crate::words::answer::Conference;
use crate::words::event::{CallFact, EndCause, MeetingEnd, MeetingFact, Reached, StartedBy};
use crate::words::ids::{CallKey, MeetingKey};

impl Engine {
    /// An input for a call's attendant; its effects are carried out when the engine settles.
    pub(super) fn tell_attendant(&mut self, now: Instant, call: CallKey, input: attendant::Input) {
        // Voice and ACK take ways of their own, and an ACK can be lost: what is pressed before it counts when it comes.
        let early = |of: &Call| of.stage == Stage::Answering && matches!(input, attendant::Input::Digit(_));
        if let Some(of) = self.calls.get_mut(&call).filter(|of| of.session_is_up() || early(of)) {
            of.attendant.handle_input(now, input);
            self.unsettled.push_back(Owner::Call(call));
        }
    }

    /// An input for a room; its effects are carried out when the engine settles.
    pub(super) fn tell_room(&mut self, now: Instant, meeting: MeetingKey, input: meeting::Input) {
        if let Some(of) = self.meetings.get_mut(&meeting) {
            of.room.handle_input(now, input);
            self.unsettled.push_back(Owner::Room(meeting));
        }
    }

    pub(super) fn settle_owner(&mut self, now: Instant, owner: Owner) {
        match owner {
            Owner::Call(call) => self.settle_call(now, call),
            Owner::Room(meeting) => self.settle_room(now, meeting),
            Owner::Shutdown => {}
        }
    }

    fn settle_call(&mut self, now: Instant, call: CallKey) {
        while let Some(of) = self.calls.get_mut(&call).filter(|of| of.session_is_up()) {
            let Some(effect) = of.attendant.poll_effect() else {
                let next = of.attendant.poll_timeout();
                return self.deadlines.set(Owner::Call(call), next);
            };
            self.attendant_effect(now, call, effect);
        }
    }

    fn attendant_effect(&mut self, now: Instant, call: CallKey, effect: attendant::Effect) {
        use attendant::Effect;
        match effect {
            Effect::Play { playback, prompts } => self.media(PlaneCommand::Play { call, playback, prompts }),
            Effect::StopPlayback => self.media(PlaneCommand::StopPlayback { call }),
            Effect::Background(background) => {
                let background = match background {
                    attendant::Background::Silence => Background::Silence,
                    attendant::Background::Music => Background::Music,
                };
                self.media(PlaneCommand::Background { call, background });
            }
            Effect::Lookup { lookup, question } => {
                let Some(of) = self.calls.get(&call) else { return };
                let origin = Origin { caller: of.caller.number.clone(), trunk: of.caller.trunk.clone() };
                self.outputs.push_back(Output::Lookup { call, lookup, question, origin });
            }
            Effect::Arrive { conference, leader } => self.arrive(now, call, &conference, leader),
            Effect::Authenticated { conference } => {
                if let Some(of) = self.calls.get_mut(&call) {
                    of.leader = true;
                    let in_meeting = of.reached == Reached::Meeting;
                    if in_meeting {
                        self.fact(call, CallFact::BecameLeader);
                    }
                }
                if let Some(&meeting) = self.meeting_of.get(&conference) {
                    self.tell_room(now, meeting, meeting::Input::Authenticated { call });
                }
            }
            Effect::Command(command) => self.keypad_command(now, call, command),
            Effect::HangUp(reason) => {
                let why = match reason {
                    attendant::HangUpReason::NoValidConferenceId => EndCause::ConferenceTriesUsedUp,
                    attendant::HangUpReason::NothingEntered => EndCause::NothingEntered,
                    attendant::HangUpReason::MeetingFull => EndCause::MeetingFull,
                    attendant::HangUpReason::LobbyTimedOut => EndCause::LobbyTimedOut,
                    attendant::HangUpReason::Removed => EndCause::Removed,
                    attendant::HangUpReason::MeetingEnded => {
                        let known = self.calls.get_mut(&call).and_then(|of| of.meeting_end.take());
                        EndCause::MeetingEnded(known.unwrap_or(MeetingEnd::Ended))
                    }
                };
                self.hang_up(now, call, why);
            }
            Effect::Note(note) => self.note(call, note),
        }
    }

    fn arrive(&mut self, now: Instant, call: CallKey, conference: &Conference, leader: bool) {
        let Some(of) = self.calls.get_mut(&call) else { return };
        let Some(id) = of.conference_id else { return };
        of.organizer = Some(conference.organizer_identity.clone());
        of.leader |= leader;
        of.vouched |= leader;
        let meeting = match self.meeting_of.get(&conference.key) {
            Some(&meeting) => meeting,
            None => self.new_meeting(now, conference, id),
        };
        if let Some(of) = self.calls.get_mut(&call) {
            of.meeting = Some(meeting);
            of.last_meeting = Some(meeting);
        }
        self.fact(
            call,
            CallFact::ConferenceFound { conference_id: id, organizer: conference.organizer_identity.clone() },
        );
        self.media(PlaneCommand::Gather { call, meeting });
        self.tell_room(now, meeting, meeting::Input::Arrive { call, leader, rules: conference.into() });
    }

    fn keypad_command(&mut self, now: Instant, call: CallKey, command: keypad::Command) {
        let Some(meeting) = self.calls.get(&call).and_then(|of| of.meeting) else { return };
        let Some(running) = self.meetings.get(&meeting) else { return };
        let input = match command {
            keypad::Command::ToggleMute => meeting::Input::ToggleMute { call },
            keypad::Command::ToggleLock if running.room.is_locked() => meeting::Input::Unlock,
            keypad::Command::ToggleLock => meeting::Input::Lock,
            keypad::Command::MuteAll => meeting::Input::ToggleAllMuted,
            keypad::Command::AdmitWaiting => meeting::Input::AdmitWaiting { call: None },
            keypad::Command::EndMeeting => meeting::Input::End,
            keypad::Command::Help
            | keypad::Command::RollCall
            | keypad::Command::RaiseHand
            | keypad::Command::ToggleAnnouncements => return,
        };
        self.tell_room(now, meeting, input);
    }

    fn note(&mut self, call: CallKey, note: attendant::Note) {
        use attendant::Note;
        let Some(of) = self.calls.get_mut(&call) else { return };
        let meeting = of.meeting;
        let fact = match note {
            Note::ConferenceIdRight { id, conference: _ } => {
                // Told when he takes his seat, which follows at once and knows the organizer.
                of.conference_id = Some(id);
                return;
            }
            Note::ConferenceIdWrong { tries_left } => CallFact::ConferenceUnknown { tries_left },
            Note::OrganizerByIdentity => CallFact::OrganizerByIdentity,
            Note::AskedWhetherOrganizer => CallFact::OrganizerAsked,
            Note::AskedForPin => CallFact::PinAsked,
            Note::PinRight => CallFact::PinRight,
            Note::PinWrong { tries_left } => CallFact::PinWrong { tries_left },
            Note::PinTriesUsedUp => CallFact::PinTriesUsedUp,
            Note::NothingEntered => CallFact::EntryTimedOut,
            Note::StoreSlow => CallFact::StoreSlow,
            Note::StoreUnavailable => CallFact::StoreUnavailable,
            Note::WaitsInLobby(waits_for) => {
                of.reach(Reached::Lobby);
                match (meeting, waits_for) {
                    (Some(meeting), attendant::WaitsFor::Start) => CallFact::WaitsForStart { meeting },
                    (Some(meeting), attendant::WaitsFor::Admission { .. }) => CallFact::AwaitsAdmission { meeting },
                    (None, _) => return,
                }
            }
            Note::Muted(true) => CallFact::Muted,
            Note::Muted(false) => CallFact::Unmuted,
            Note::PlaybackLost => CallFact::PlaybackLost,
            // Told when the room lets him in, with what he is there; a word of patience each minute is no step.
            Note::InMeeting | Note::Patience => return,
        };
        self.fact(call, fact);
    }

    fn settle_room(&mut self, now: Instant, meeting: MeetingKey) {
        // A start and its admission are two effects and one fact.
        let mut started: Option<StartedBy> = None;
        while let Some(of) = self.meetings.get_mut(&meeting) {
            let Some(effect) = of.room.poll_effect() else {
                let next = of.room.poll_timeout();
                self.deadlines.set(Owner::Room(meeting), next);
                break;
            };
            if let (Some(by), false) = (started, matches!(effect, meeting::Effect::Admit { .. })) {
                self.meeting_fact(meeting, MeetingFact::Started { by, admitted: 0 });
                started = None;
            }
            match effect {
                meeting::Effect::Started { by } => {
                    if let Some(of) = self.meetings.get_mut(&meeting) {
                        of.started_at = Some(now);
                    }
                    started = Some(self.started_by(&by));
                }
                meeting::Effect::Admit { calls } => {
                    // Some may have gone since it was decided: when all are hung up at once the lobby's turn comes in
                    // between.
                    let is_seated = |call: &CallKey| self.calls.get(call).is_some_and(|of| of.meeting == Some(meeting));
                    let calls: Box<[CallKey]> = calls.into_iter().filter(is_seated).collect();
                    if let Some(by) = started.take() {
                        self.meeting_fact(meeting, MeetingFact::Started { by, admitted: calls.len() });
                    }
                    self.admit(now, meeting, calls);
                }
                effect => self.room_effect(now, meeting, effect),
            }
        }
        if let Some(by) = started {
            self.meeting_fact(meeting, MeetingFact::Started { by, admitted: 0 });
        }
    }

    fn started_by(&self, starter: &meeting::Starter) -> StartedBy {
        match starter {
            meeting::Starter::Leader(call) if self.calls.get(call).is_some_and(|of| of.vouched) => {
                StartedBy::VouchedCall
            }
            meeting::Starter::Leader(_) => StartedBy::LeaderPin,
            meeting::Starter::Anonymous(_) => StartedBy::AnonymousCaller,
            meeting::Starter::User(_) => StartedBy::AuthenticatedUser,
        }
    }

    /// One command takes them all in at the same tick; then each attendant is told.
    fn admit(&mut self, now: Instant, meeting: MeetingKey, calls: Box<[CallKey]>) {
        self.media(PlaneCommand::Admit { meeting, calls: calls.clone() });
        for call in calls {
            if let Some(of) = self.calls.get_mut(&call) {
                of.reach(Reached::Meeting);
                of.entered_at = Some(now);
                let leader = of.leader;
                self.fact(call, CallFact::EnteredMeeting { meeting, leader });
            }
            self.tell_attendant(now, call, attendant::Input::Admitted);
        }
    }

    fn room_effect(&mut self, now: Instant, meeting: MeetingKey, effect: meeting::Effect) {
        use meeting::Effect;
        match effect {
            Effect::Started { .. } | Effect::Admit { .. } => {}
            Effect::Wait { calls, waits_for } => {
                let waits_for = match waits_for {
                    meeting::WaitsFor::Start => attendant::WaitsFor::Start,
                    meeting::WaitsFor::Admission { locked } => attendant::WaitsFor::Admission { locked },
                };
                for call in calls {
                    self.tell_attendant(now, call, attendant::Input::Waits(waits_for));
                }
            }
            Effect::Full { call } => {
                self.unseat(call);
                self.tell_attendant(now, call, attendant::Input::MeetingFull);
            }
            Effect::Chime(chime) => self.media(PlaneCommand::Chime { meeting, chime }),
            Effect::Patience { call } => self.tell_attendant(now, call, attendant::Input::Patience),
            Effect::LobbyTimedOut { call } => {
                self.unseat(call);
                self.tell_attendant(now, call, attendant::Input::LobbyTimedOut);
            }
            Effect::Muted { call, muted } => {
                self.media(PlaneCommand::Mute { call, muted });
                self.tell_attendant(now, call, attendant::Input::Muted(muted));
            }
            Effect::AllMuted { muted, changed } => {
                self.meeting_fact(meeting, MeetingFact::AllMuted { muted, changed });
            }
            Effect::Locked(locked) => self.meeting_fact(meeting, MeetingFact::Locked(locked)),
            Effect::Ended { calls, why } => {
                if let Some(of) = self.meetings.get_mut(&meeting) {
                    of.started_at = None;
                }
                let why = match why {
                    meeting::EndReason::Ended => MeetingEnd::Ended,
                    meeting::EndReason::NobodyAuthenticated => MeetingEnd::NobodyAuthenticated,
                    meeting::EndReason::LeaderLeft => MeetingEnd::LeaderLeft,
                };
                self.meeting_fact(meeting, MeetingFact::Ended { why });
                for call in calls {
                    self.unseat(call);
                    if let Some(of) = self.calls.get_mut(&call) {
                        of.meeting_end = Some(why);
                    }
                    self.tell_attendant(now, call, attendant::Input::MeetingEnded);
                }
            }
            Effect::Over => {
                if let Some(of) = self.meetings.get_mut(&meeting) {
                    of.started_at = None;
                }
                self.meeting_fact(meeting, MeetingFact::Over);
            }
            Effect::Vacant => {
                if let Some(gone) = self.meetings.remove(&meeting) {
                    self.meeting_of.remove(&gone.conference);
                    self.deadlines.set(Owner::Room(meeting), None);
                    self.meeting_fact(meeting, MeetingFact::Closed);
                }
            }
        }
    }

    pub(super) fn unseat(&mut self, call: CallKey) {
        if let Some(of) = self.calls.get_mut(&call) {
            of.meeting = None;
        }
    }
}
