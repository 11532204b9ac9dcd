//! The floor, the lobby, and the meeting: calls that go on.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::argon2::PinCheck;
use super::callers::{Callers, Measured};
use super::clock::{Stamp, milliseconds};
use super::delivery::Delivery;
use super::floor::Floor;
use super::keys::Typing;
use super::phones::Intent;
use super::plan::Plan;
use super::report::{Goal, Section};
use super::server::Server;
use super::{Outcome, progress, wrong};

/// How fast a lobby fills and empties, in calls a second.
const FILL_RATE: f64 = 200.0;
const EMPTY_RATE: f64 = 500.0;

/// A caller who has typed must hear music by then; one who waits, the meeting.
const LOBBY_WITHIN: Duration = Duration::from_secs(30);
const START_WITHIN: Duration = Duration::from_secs(20);

/// In frames: before the first key, and before the next thing that is asked for.
const LISTENS: u32 = 25;
const LISTENS_ON: u32 = 50;

pub const TALKERS: usize = 3;

/// The server with its callers. The last caller is the organizer.
pub struct Bridge {
    pub(super) server: Server,
    pub(super) callers: Callers,
    pin_check: PinCheck,
    pub(super) plan: Plan,
}

/// What the first section found that the meeting after it compares with.
pub struct Floors {
    floor_cpu_ms: f64,
}

/// From the organizer's last key to the meeting at each waiting caller.
pub(super) struct Start {
    heard_after: Vec<Duration>,
    /// Who heard no meeting in time, or something else than music before the organizer had typed.
    odd: usize,
    /// One check of a PIN, in the seconds before.
    argon2: Duration,
}

impl Bridge {
    /// `calls`: callers in one lobby, at most.
    pub fn new(plan: &Plan, calls: usize) -> Outcome<Bridge> {
        let largest = plan.lobbies.iter().copied().chain([calls]).max().unwrap_or(0);
        let server = Server::start("waiting", largest + 16, plan)?;
        let callers = Callers::new(largest + 1, server.sip, 1)?;
        Ok(Bridge { server, callers, pin_check: PinCheck::new()?, plan: plan.clone() })
    }

    fn organizer(&self) -> usize {
        self.callers.fleet.len() - 1
    }

    /// Floor and lobby by turns, with the same generator on the other side. Leaves the lobby full.
    pub fn waiting(&mut self, sections: &mut Vec<Section>) -> Outcome<Floors> {
        let calls = self.plan.calls;
        let process = self.server.process()?;
        let (mut floors, mut lobbies) = (Vec::new(), Vec::new());
        let mut memory_kib = None;
        for turn in 1..=self.plan.turns {
            progress(&format!("turn {turn} of {}: floor of {calls}", self.plan.turns));
            floors.push(measure_floor(&mut self.callers, &self.plan)?);
            progress(&format!("turn {turn} of {}: lobby of {calls}", self.plan.turns));
            let before_kib = process.resident_kib()?;
            self.fill_lobby(0..calls)?;
            self.callers.run_for(self.plan.warm_up);
            lobbies.push(self.callers.measure(&process, calls, self.plan.measure)?);
            // Later turns find the memory of the first one.
            let grown_kib = (process.resident_kib()? - before_kib) / calls as f64;
            memory_kib.get_or_insert(grown_kib);
            if turn < self.plan.turns {
                self.empty();
            }
        }
        let (floor, lobby) = (merged(&floors)?, merged(&lobbies)?);

        sections.push(floor_section(calls, &floors)?);

        let mut section = Section::new(format!("The lobby: {calls} waiting callers with hold music"));
        section.figure("CPU of one waiting caller", lobby.cpu_ms, "ms/call-s", None);
        section.figure("  in floors", lobby.cpu_ms / floor.cpu_ms, "×", Some(Goal::AtMost(1.5)));
        section.delivery(&lobby, true);
        let memory_kib = memory_kib.unwrap_or(f64::NAN);
        section.figure("resident memory of one waiting call", memory_kib, "KiB", Some(Goal::AtMost(32.0)));
        let ratios: Vec<String> =
            floors.iter().zip(&lobbies).map(|(floor, lobby)| format!("{:.2}", lobby.cpu_ms / floor.cpu_ms)).collect();
        section.note(format!("each turn, after its floor: {}; in floors {}", each_cpu(&lobbies), ratios.join(", ")));
        let talking = self.talking_lobby()?;
        section.figure("CPU of one who speaks while he waits", talking.cpu_ms, "ms/call-s", None);
        section.figure("  in floors", talking.cpu_ms / floor.cpu_ms, "×", None);
        sections.push(section);
        Ok(Floors { floor_cpu_ms: floor.cpu_ms })
    }

    /// All of the full lobby speak: nobody hears it, but it could be keys.
    fn talking_lobby(&mut self) -> Outcome<Measured> {
        let calls = self.plan.calls;
        progress(&format!("lobby of {calls}, all of them speak"));
        (0..calls).for_each(|caller| self.callers.fleet.speak(caller, caller as f64 / calls as f64));
        self.callers.run_for(self.plan.warm_up);
        let measured = self.callers.measure(&self.server.process()?, calls, self.plan.measure)?;
        (0..calls).for_each(|caller| self.callers.fleet.be_silent(caller));
        Ok(measured)
    }

    /// The full lobby becomes a meeting with three talkers.
    pub fn meeting(&mut self, floors: &Floors, sections: &mut Vec<Section>) -> Outcome<()> {
        let calls = self.plan.calls;
        progress(&format!("meeting of {calls}"));
        self.start_meeting(0..calls)?;
        self.callers.fleet.stop_listening(0..calls);
        for talker in 0..TALKERS {
            self.callers.fleet.speak(talker, talker as f64 / TALKERS as f64);
        }
        self.callers.run_for(self.plan.warm_up);
        // The organizer listens too.
        let listening = calls + 1;
        let measured = self.callers.measure(&self.server.process()?, listening, self.plan.measure)?;
        self.empty();

        let mut section = Section::new(format!("The meeting: {listening} callers, {TALKERS} of them speak"));
        section.figure("CPU of one caller", measured.cpu_ms, "ms/call-s", None);
        section.figure("  in floors", measured.cpu_ms / floors.floor_cpu_ms, "×", Some(Goal::AtMost(2.0)));
        section.delivery(&measured, true);
        sections.push(section);
        Ok(())
    }

    /// The last key of a PIN → the meeting, for lobbies of several sizes.
    pub fn starts(&mut self, sections: &mut Vec<Section>) -> Outcome<()> {
        let mut section = Section::new("The start: last PIN digit → meeting heard by those who wait");
        for lobby in self.plan.lobbies.clone() {
            let mut starts = Vec::new();
            for start in 1..=self.plan.starts {
                progress(&format!("start {start} of {}: lobby of {lobby}", self.plan.starts));
                self.fill_lobby(0..lobby)?;
                self.callers.run_for(self.plan.warm_up);
                starts.push(self.start_meeting(0..lobby)?);
                self.empty();
            }
            section.starts(lobby, &starts);
        }
        section
            .note("argon2: one check of a PIN with the server's costs, made by the benchmark itself in the seconds before each start");
        section.note(
            "measured at each waiting caller's socket: from the first packet of # to the first that is no hold music",
        );
        sections.push(section);
        Ok(())
    }

    pub(super) fn fill_lobby(&mut self, callers: Range<usize>) -> Outcome<()> {
        self.send_to_lobby(0, callers.clone())?;
        self.wait_for_music(&callers.clone().collect::<Vec<_>>())?;
        self.callers.fleet.stop_listening(callers);
        Ok(())
    }

    /// They call, and type the conference ID of that organizer.
    pub(super) fn send_to_lobby(&mut self, organizer: usize, callers: Range<usize>) -> Outcome<()> {
        self.callers.fleet.listen(callers.clone());
        let typing = Typing::default().wait(LISTENS).press(&self.server.organizers[organizer].conference_id);
        self.callers.call(callers, FILL_RATE, &Intent::Type(typing))
    }

    pub(super) fn wait_for_music(&mut self, callers: &[usize]) -> Outcome<()> {
        let waits = |all: &mut Callers| callers.iter().all(|caller| all.fleet.hears_music(*caller));
        if self.callers.run_until(LOBBY_WITHIN, waits) {
            return Ok(());
        }
        let hearing = callers.iter().filter(|caller| self.callers.fleet.hears_music(**caller)).count();
        let failures = &self.callers.phones.failures;
        let first = failures.first().map(|reason| format!(", the first one: {reason}")).unwrap_or_default();
        let (all, failed) = (callers.len(), failures.len());
        Err(wrong(&format!("only {hearing} of {all} callers came into the lobby; {failed} calls failed{first}")))
    }

    /// That organizer calls from this place, and types ID and PIN.
    pub(super) fn call_organizer(&mut self, organizer: usize, caller: usize) -> Outcome<()> {
        let of = &self.server.organizers[organizer];
        let typing = Typing::default().wait(LISTENS).press(&of.conference_id).wait(LISTENS_ON).press("*");
        let typing = typing.wait(LISTENS_ON).press(&of.pin).press("#");
        self.callers.call(caller..caller + 1, FILL_RATE, &Intent::Type(typing))
    }

    /// The organizer calls, and types ID and PIN; `waiting` are in the lobby.
    pub(super) fn start_meeting(&mut self, waiting: Range<usize>) -> Outcome<Start> {
        let organizer = self.organizer();
        self.callers.fleet.listen(waiting.clone());
        self.call_organizer(0, organizer)?;
        let heard = |all: &mut Callers| waiting.clone().all(|caller| all.fleet.music_ended_at(caller).is_some());
        let (callers, pin_check) = (&mut self.callers, &self.pin_check);
        // The organizer still types: the lobby costs what it will cost when the server checks his PIN.
        let argon2 = std::thread::scope(|scope| {
            let check = scope.spawn(|| pin_check.time());
            callers.run_until(START_WITHIN, heard);
            check.join()
        });
        let argon2 = argon2.map_err(|_| wrong("the check of a PIN failed"))??;
        let last_key_at =
            self.callers.fleet.last_key_at(organizer).ok_or_else(|| wrong("the organizer did not type"))?;
        let heard_at: Vec<Option<Stamp>> =
            waiting.clone().map(|caller| self.callers.fleet.music_ended_at(caller)).collect();
        let mut heard_after: Vec<Duration> = heard_at
            .iter()
            .filter_map(|at| at.filter(|at| *at >= last_key_at))
            .map(|at| at.since(last_key_at))
            .collect();
        if heard_after.is_empty() {
            return Err(wrong(&format!("the meeting of {} did not start", waiting.len())));
        }
        heard_after.sort();
        Ok(Start { odd: waiting.len() - heard_after.len(), heard_after, argon2 })
    }

    /// Everybody hangs up.
    pub fn empty(&mut self) {
        self.callers.hang_up_all(EMPTY_RATE);
        self.callers.phones.failures.clear();
    }
}

/// The floor without any server: what the machine and the generator can do.
pub fn floor_alone(plan: &Plan, sections: &mut Vec<Section>) -> Outcome<()> {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut callers = Callers::new(plan.calls, nobody, 0)?;
    progress(&format!("floor of {}", plan.calls));
    let floor = measure_floor(&mut callers, plan)?;
    sections.push(floor_section(plan.calls, &[floor])?);
    Ok(())
}

pub(super) fn measure_floor(callers: &mut Callers, plan: &Plan) -> Outcome<Measured> {
    let peers: Vec<_> = (0..plan.calls).map(|caller| callers.fleet.address(caller)).collect();
    let floor = Floor::start(&peers)?;
    for (caller, address) in floor.addresses.iter().enumerate() {
        callers.fleet.connect(caller, *address, None);
    }
    callers.run_for(plan.warm_up);
    let measured = callers.measure(&floor.process()?, plan.calls, plan.measure)?;
    drop(floor);
    (0..plan.calls).for_each(|caller| callers.fleet.disconnect(caller));
    Ok(measured)
}

fn floor_section(calls: usize, turns: &[Measured]) -> Outcome<Section> {
    let floor = merged(turns)?;
    let mut section = Section::new(format!("The floor: {calls} sockets, each 20 ms one receive and one send"));
    section.figure("CPU of one call", floor.cpu_ms, "ms/call-s", None);
    section.delivery(&floor, false);
    section.note(format!("each turn: {}", each_cpu(turns)));
    Ok(section)
}

impl Section {
    fn starts(&mut self, lobby: usize, starts: &[Start]) {
        let all = || starts.iter().flat_map(|start| start.heard_after.iter().copied());
        let mut sorted: Vec<Duration> = all().collect();
        sorted.sort();
        let ms = |at: Option<&Duration>| at.copied().map_or(f64::NAN, milliseconds);
        self.figure(format!("{lobby} waiting: the first hears it after"), ms(sorted.first()), "ms", None);
        self.figure(format!("{lobby} waiting: median"), ms(sorted.get(sorted.len() / 2)), "ms", None);
        self.figure(format!("{lobby} waiting: the last"), ms(sorted.last()), "ms", None);
        let spreads = starts.iter().filter_map(|start| Some(*start.heard_after.last()? - *start.heard_after.first()?));
        let spread = spreads.max().map_or(f64::NAN, milliseconds);
        self.figure(format!("{lobby} waiting: first to last"), spread, "ms", None);
        let mut argon2: Vec<Duration> = starts.iter().map(|start| start.argon2).collect();
        argon2.sort();
        self.figure(format!("{lobby} waiting: argon2"), ms(argon2.get(argon2.len() / 2)), "ms", None);
        let beyond = |start: &Start| Some(milliseconds(*start.heard_after.last()?) - milliseconds(start.argon2));
        let mut beyond: Vec<f64> = starts.iter().filter_map(beyond).collect();
        beyond.sort_by(f64::total_cmp);
        let (median, worst) = (beyond.get(beyond.len() / 2), beyond.last());
        let ms = |of: Option<&f64>| of.copied().unwrap_or(f64::NAN);
        self.figure(format!("{lobby} waiting: the last, less argon2"), ms(median), "ms", Some(Goal::AtMost(25.0)));
        self.figure(format!("{lobby} waiting: the worst start, less argon2"), ms(worst), "ms", None);
        let odd: usize = starts.iter().map(|start| start.odd).sum();
        if odd > 0 {
            self.note(format!(
                "{odd} of the {lobby} waiting did not go from music to meeting in {} starts",
                starts.len()
            ));
        }
    }
}

/// Several turns as one: costs as their mean, the worst of what must not happen.
fn merged(turns: &[Measured]) -> Outcome<Measured> {
    let mut one = turns.first().cloned().ok_or_else(|| wrong("nothing was measured"))?;
    let mean = |of: fn(&Measured) -> f64| turns.iter().map(of).sum::<f64>() / turns.len() as f64;
    one.cpu_ms = mean(|turn| turn.cpu_ms);
    one.generator_cpu_ms = mean(|turn| turn.generator_cpu_ms);
    one.machine_busy = mean(|turn| turn.machine_busy);
    let deliveries: Vec<Delivery> = turns.iter().map(|turn| turn.delivery.clone()).collect();
    one.delivery = Delivery::merged(&deliveries).unwrap_or(one.delivery);
    for turn in turns.iter().skip(1) {
        one.generator_lost += turn.generator_lost;
        one.lateness.slots += turn.lateness.slots;
        one.lateness.slots_late += turn.lateness.slots_late;
        one.lateness.late_ms_max = one.lateness.late_ms_max.max(turn.lateness.late_ms_max);
        one.lateness.frames_skipped += turn.lateness.frames_skipped;
    }
    Ok(one)
}

fn each_cpu(turns: &[Measured]) -> String {
    let all: Vec<String> = turns.iter().map(|turn| format!("{:.3}", turn.cpu_ms)).collect();
    format!("{} ms/call-s", all.join(", "))
}
