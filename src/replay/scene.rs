//! Plays one fixture in real time: one thread keeps all callers' time (a tick each 20 ms, by absolute deadline), the ears
//! listen beside it, and the scripts decide.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rand::rngs::StdRng;

use super::Options;
use super::caller::{Deed, Script};
use super::ear_threads::EarThreads;
use super::ears::{self, Ears, Hearing, SoundLibrary};
use super::fixture::{Action, Caller, Fixture};
use super::impairment::{ImpairedPath, Impairment, Way};
use super::listener::HeardFrame;
use super::marks::Marks;
use super::mouth::{Mouth, Voice};
use super::phone::{Network, Phone, PhoneEvent, receive_buffer, system_random};
use super::report::{CallerReport, FailureReport, FixtureReport, ImpairmentReport, TimelineEntry};
use super::sound::{Sound, Speech};
use super::target::Target;
use super::timeline::{Entry, Kind, Timeline};
use super::wav;
use crate::media::resample::downsampled;
use crate::net::audio;
use crate::words::media::FRAME;
use crate::words::prompt::Prompt;

/// After the scene everybody hangs up, and has this long to be told so.
const GOODBYE: Duration = Duration::from_secs(2);

/// With more callers than this the sockets are read a few times per frame instead of for each packet.
const FEW_CALLERS: usize = 20;
const MANY_CALLERS_PAUSE: Duration = Duration::from_millis(4);

/// Callers up to whose number everything heard is kept for a second listening. A minute of one caller is a megabyte.
const CALLERS_REMEMBERED: usize = 100;

/// Ticks that are made up for at once after a stall.
const TICKS_AT_ONCE: u32 = 100;

/// One caller in the scene.
struct Player {
    script: Script,
    phone: Option<Phone>,
    heard: Vec<HeardFrame>,
    codec: Option<String>,
    ears_finished: bool,
}

struct Scene<'a> {
    fixture: &'a Fixture,
    target: &'a Target,
    library: Arc<SoundLibrary>,
    /// Names of the callers by their tones, for the story.
    voices: BTreeMap<Sound, String>,
    players: Vec<Player>,
    marks: Marks,
    ears: EarThreads,
    timeline: Timeline,
    began: Instant,
    /// The latest that a tick came: how long this thread was kept from its work.
    stall: Duration,
    remembers: bool,
    /// In place of what the fixture says.
    impairment: Option<Impairment>,
    random: StdRng,
    buffer: Vec<u8>,
}

/// Whether everything that the fixture listens for can be recognized.
pub fn check(fixture: &Fixture, sounds: &Arc<SoundLibrary>) -> Result<(), String> {
    let library = library_with(sounds, fixture)?;
    for caller in &fixture.callers {
        Ears::new(&library, &sounds_of(&caller.never_hears, &caller.steps))
            .map_err(|error| format!("{}: {error}", fixture.path.display()))?;
    }
    Ok(())
}

/// Plays the fixture. An error means that it could not be played at all.
pub fn play(fixture: &Fixture, target: &Target, options: &Options) -> Result<FixtureReport, String> {
    let mut scene = Scene::new(fixture, target, options)?;
    scene.run();
    scene.say_goodbye();
    Ok(scene.report(options.recordings.as_deref()))
}

impl<'a> Scene<'a> {
    fn new(fixture: &'a Fixture, target: &'a Target, options: &Options) -> Result<Scene<'a>, String> {
        let library = library_with(&options.sounds, fixture)?;
        let listens_for: Vec<_> =
            fixture.callers.iter().map(|caller| sounds_of(&caller.never_hears, &caller.steps)).collect();
        let ears = EarThreads::start(&library, &listens_for)
            .map_err(|error| format!("{}: {error}", fixture.path.display()))?;
        let mut voices: BTreeMap<Sound, String> = BTreeMap::new();
        for caller in &fixture.callers {
            if let Speech::Tone { hz } = caller.voice {
                voices.entry(Sound::Tone { hz }).or_insert_with(|| caller.name.clone());
            }
        }
        let players = fixture
            .callers
            .iter()
            .enumerate()
            .map(|(index, caller)| Player {
                script: Script::new(caller.clone(), index),
                phone: None,
                heard: Vec::new(),
                codec: None,
                ears_finished: false,
            })
            .collect();
        Ok(Scene {
            fixture,
            target,
            library,
            voices,
            players,
            marks: Marks::default(),
            ears,
            timeline: Timeline::default(),
            began: Instant::now(),
            stall: Duration::ZERO,
            remembers: options.recordings.is_some() || fixture.callers.len() <= CALLERS_REMEMBERED,
            impairment: options.impairment,
            random: system_random()?,
            buffer: receive_buffer(),
        })
    }

    fn now(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }

    /// To the end of all scripts, or the first failure.
    fn run(&mut self) {
        self.began = Instant::now();
        let mut ticks = Ticks::from(self.began);
        loop {
            self.wait(ticks.next);
            let at = Instant::now();
            self.stall = self.stall.max(at.saturating_duration_since(ticks.next));
            self.receive(at);
            for _ in 0..ticks.due(at) {
                self.tick(at);
            }
            self.take_reports();
            if self.now(at) >= self.fixture.time_limit {
                let now = self.now(at);
                self.players.iter_mut().for_each(|player| player.script.handle_time_limit(now));
            }
            let failed = self.players.iter().any(|player| player.script.failure().is_some());
            if failed || self.players.iter().all(|player| player.script.is_finished()) {
                break;
            }
        }
    }

    /// Hangs up whoever is still calling, and waits for the answers.
    fn say_goodbye(&mut self) {
        let at = Instant::now();
        for player in &mut self.players {
            if player.script.ended().is_none()
                && let Some(phone) = &mut player.phone
            {
                phone.hang_up(at);
            }
        }
        let mut ticks = Ticks::from(at);
        let end = at + GOODBYE;
        while self.players.iter().filter_map(|player| player.phone.as_ref()).any(|phone| !phone.is_quiet()) {
            self.wait(ticks.next);
            let at = Instant::now();
            if at >= end {
                break;
            }
            self.receive(at);
            let now = self.now(at);
            for _ in 0..ticks.due(at) {
                self.players
                    .iter_mut()
                    .filter_map(|player| player.phone.as_mut())
                    .for_each(|phone| phone.tick(at, now));
            }
        }
        self.take_reports();
    }

    /// Sleeps until something comes, on a socket or out of an impaired network, or the next tick.
    fn wait(&mut self, tick: Instant) {
        let phones = self.players.iter().filter_map(|player| player.phone.as_ref());
        let until = phones.filter_map(Phone::delivers_at).min().map_or(tick, |at| tick.min(self.began + at));
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if self.players.len() > FEW_CALLERS {
            std::thread::sleep(left.min(MANY_CALLERS_PAUSE));
            return;
        }
        let phones = self.players.iter().filter_map(|player| player.phone.as_ref());
        let sockets: Vec<_> = phones.flat_map(Phone::sockets).collect();
        let mut wanted: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        // Interrupted or not: what has come is read next, and time is looked at again.
        let _ = poll(&mut wanted, timeout);
    }

    fn receive(&mut self, at: Instant) {
        let now = self.now(at);
        for index in 0..self.players.len() {
            let Some(player) = self.players.get_mut(index) else { break };
            let Some(phone) = &mut player.phone else { continue };
            phone.receive(at, now, &mut self.buffer);
            let events = phone.take_events(now);
            for event in events {
                self.take_event(index, now, event);
            }
        }
    }

    fn take_event(&mut self, index: usize, now: Duration, event: PhoneEvent) {
        let Some(player) = self.players.get_mut(index) else { return };
        let told = match event {
            PhoneEvent::Progress { status } => format!("{status} from the server"),
            PhoneEvent::Media(media) => {
                let events = match media.telephone_event {
                    Some(payload_type) => format!("telephone-event {payload_type}"),
                    None => "no telephone-event".to_owned(),
                };
                player.codec = Some(media.codec.to_string());
                format!("media agreed: {}, {events}, {:?}", media.codec, media.direction)
            }
            PhoneEvent::Answered => {
                player.script.handle_answered(now, &mut self.marks);
                "answered".to_owned()
            }
            PhoneEvent::ReinviteAnswered { status } => {
                if status >= 300 {
                    player.script.handle_trouble(now, format!("the re-INVITE was refused with {status}"));
                }
                format!("the re-INVITE was answered with {status}")
            }
            PhoneEvent::Ended(ended) => {
                let told = ended.to_string();
                player.script.handle_ended(now, ended, &mut self.marks);
                told
            }
            PhoneEvent::Trouble(what) => {
                player.script.handle_trouble(now, what.clone());
                what
            }
        };
        self.tell(index, now, Kind::Call, told);
    }

    fn tick(&mut self, at: Instant) {
        let now = self.now(at);
        for index in 0..self.players.len() {
            self.tick_player(index, at, now);
        }
    }

    fn tick_player(&mut self, index: usize, at: Instant, now: Duration) {
        let Some(player) = self.players.get_mut(index) else { return };
        let mut busy = false;
        if let Some(phone) = &mut player.phone {
            phone.tick(at, now);
            busy = phone.mouth.is_pressing() || phone.mouth.is_talking();
            let frames = phone.listener.take_frames();
            if player.script.ended().is_none() {
                if self.remembers {
                    player.heard.extend_from_slice(&frames);
                }
                if let Err(error) = self.ears.listen(index, frames) {
                    player.script.handle_trouble(now, error.to_string());
                }
            } else if !player.ears_finished {
                player.ears_finished = true;
                // The last packets came before the BYE.
                if self.remembers {
                    player.heard.extend_from_slice(&frames);
                }
                let finished = self.ears.listen(index, frames).and_then(|()| self.ears.finish(index, now));
                if let Err(error) = finished {
                    player.script.handle_trouble(now, error.to_string());
                }
            }
            let events = phone.take_events(now);
            for event in events {
                self.take_event(index, now, event);
            }
        }
        let Some(player) = self.players.get_mut(index) else { return };
        // A recording that is his voice goes on while he does other things; only what a step says is waited for.
        let waits_for_mouth = busy && is_spoken(&player.script);
        player.script.handle_tick(now, waits_for_mouth, &mut self.marks);
        while let Some(deed) = self.players.get_mut(index).and_then(|player| player.script.poll_deed()) {
            self.carry_out(index, at, now, deed);
        }
    }

    fn carry_out(&mut self, index: usize, at: Instant, now: Duration, deed: Deed) {
        let told = told_deed(&deed);
        match &deed {
            Deed::Dial => self.dial(index, at, now),
            _ => {
                let Some(phone) = self.players.get_mut(index).and_then(|player| player.phone.as_mut()) else { return };
                match deed {
                    Deed::Dial | Deed::Mark(_) => {}
                    Deed::Say(speech) => phone.mouth.say(voice(&speech, self.fixture)),
                    Deed::Press(presses) => phone.mouth.press(presses),
                    Deed::PressRecorded(events) => phone.mouth.press_recorded(events),
                    Deed::HangUp => phone.hang_up(at),
                    Deed::Cancel => phone.cancel(at),
                    Deed::Reinvite(direction) => phone.reinvite(at, direction),
                }
            }
        }
        self.tell(index, now, Kind::Does, told);
    }

    fn dial(&mut self, index: usize, at: Instant, now: Duration) {
        let Some(player) = self.players.get_mut(index) else { return };
        let caller = player.script.caller().clone();
        let said = voice(&caller.voice, self.fixture);
        let mouth = Mouth::new(&mut self.random, said);
        let path = |way| self.impairment.or(caller.line.impair)?.path(index, way);
        let network = Network { to_server: path(Way::ToServer), from_server: path(Way::FromServer) };
        match Phone::call(at, self.target, &caller.line, mouth, network, &mut self.random) {
            Ok(phone) => player.phone = Some(phone),
            Err(error) => player.script.handle_trouble(now, error),
        }
    }

    fn take_reports(&mut self) {
        while let Some(report) = self.ears.poll_report() {
            if let Some(player) = self.players.get_mut(report.caller) {
                report.changes.into_iter().for_each(|change| player.script.handle_hearing(change));
                player.script.handle_heard_to(report.heard_to, report.all);
            }
        }
    }

    fn tell(&mut self, index: usize, at: Duration, kind: Kind, text: String) {
        let caller = self.players.get(index).map(|player| player.script.caller().name.clone()).unwrap_or_default();
        self.timeline.push(Entry { at, caller, kind, text });
    }

    /// The sound as the fixture's reader knows it.
    fn name_of(&self, sound: &Sound) -> String {
        match self.voices.get(sound) {
            Some(name) => format!("{name} ({sound})"),
            None => sound.to_string(),
        }
    }

    fn tell_hearings(&mut self) {
        for index in 0..self.players.len() {
            let hearings = self.players.get(index).map(|player| player.script.hearings().to_vec()).unwrap_or_default();
            for hearing in hearings {
                let name = self.name_of(&hearing.sound);
                self.tell(index, hearing.from, Kind::Hears, format!("hears {name}"));
                if let Some(until) = hearing.until {
                    let over = if hearing.whole { "to its end" } else { "no more" };
                    self.tell(index, until, Kind::Hears, format!("hears {name} {over}"));
                }
            }
        }
    }

    fn report(mut self, recordings: Option<&Path>) -> FixtureReport {
        let seconds = self.began.elapsed().as_secs_f64();
        self.tell_hearings();
        let first = self
            .players
            .iter()
            .enumerate()
            .filter_map(|(index, player)| Some((index, player.script.failure()?.clone())))
            .min_by_key(|(_, failure)| failure.at);
        let failure = first.map(|(index, failure)| {
            self.tell(index, failure.at, Kind::Fails, format!("{}: {}", failure.expected, failure.found));
            FailureReport {
                caller: failure.caller,
                line: failure.line,
                at_s: rounded(failure.at),
                expected: failure.expected,
                found: failure.found,
                heard: self.heard_in_all(index),
            }
        });
        let callers = self.players.iter().map(|player| self.caller_report(player, recordings)).collect();
        let entry = |entry: &Entry| TimelineEntry {
            at_s: rounded(entry.at),
            caller: entry.caller.clone(),
            kind: entry.kind.name(),
            what: entry.text.clone(),
        };
        FixtureReport {
            name: self.fixture.name.clone(),
            path: self.fixture.path.display().to_string(),
            title: self.fixture.title.clone(),
            covers: self.fixture.covers.clone(),
            passed: failure.is_none(),
            seconds,
            largest_stall_ms: u64::try_from(self.stall.as_millis()).unwrap_or(u64::MAX),
            failure,
            timeline: self.timeline.entries().iter().map(entry).collect(),
            callers,
            story: self.timeline.to_string(),
        }
    }

    /// A second listening, for everything that is known.
    fn heard_in_all(&self, index: usize) -> Vec<String> {
        let Some(player) = self.players.get(index) else { return Vec::new() };
        let tones: Vec<_> = self.voices.keys().cloned().collect();
        let hearings = ears::listen_again(&self.library, &tones, &player.heard);
        let span = |hearing: &Hearing| {
            let until = hearing.until.map_or("the end".to_owned(), |until| format!("{:.3} s", until.as_secs_f64()));
            format!("{} from {:.3} s to {until}", self.name_of(&hearing.sound), hearing.from.as_secs_f64())
        };
        hearings.iter().map(span).collect()
    }

    fn impairment_report(&self, player: &Player) -> Option<ImpairmentReport> {
        let impairment = self.impairment.or(player.script.caller().line.impair)?;
        let network = &player.phone.as_ref()?.network;
        Some(ImpairmentReport {
            by: impairment.to_string(),
            to_server: network.to_server.as_ref().map(ImpairedPath::counts),
            from_server: network.from_server.as_ref().map(ImpairedPath::counts),
        })
    }

    fn caller_report(&self, player: &Player, recordings: Option<&Path>) -> CallerReport {
        let measures = player.phone.as_ref().map(|phone| phone.listener.measures()).unwrap_or_default();
        let name = player.script.caller().name.clone();
        let recording = recordings.and_then(|folder| {
            let samples: Vec<i16> = player.heard.iter().flat_map(|frame| frame.samples).collect();
            let path = folder.join(format!("{}-{}.wav", self.fixture.name, file_name(&name)));
            wav::write_8khz(&path, &samples).ok().map(|()| path.display().to_string())
        });
        CallerReport {
            answered_at_s: player.script.answered_at().map(rounded),
            ended_at_s: player.script.ended().map(|(at, _)| rounded(*at)),
            ended: player.script.ended().map(|(_, ended)| ended.to_string()),
            codec: player.codec.clone(),
            packets_sent: player.phone.as_ref().map_or(0, |phone| phone.rtp_sent),
            packets_received: measures.packets,
            packets_lost: measures.lost,
            packets_late: measures.late,
            packets_strange: measures.strange,
            largest_gap_ms: u64::try_from(measures.largest_gap.as_millis()).unwrap_or(u64::MAX),
            rtcp_received: player.phone.as_ref().map_or(0, |phone| phone.rtcp_received),
            impaired: self.impairment_report(player),
            recording,
            name,
        }
    }
}

/// Deadlines of 20 ms each, absolute: a late one doesn't make the next one late.
struct Ticks {
    next: Instant,
}

impl Ticks {
    fn from(begin: Instant) -> Ticks {
        Ticks { next: begin + FRAME }
    }

    /// How many have passed.
    fn due(&mut self, now: Instant) -> u32 {
        let mut due = 0;
        while self.next <= now && due < TICKS_AT_ONCE {
            self.next += FRAME;
            due += 1;
        }
        due
    }
}

/// The given sounds, and the fixture's own files; for callers with G.722 the prompts as we play them to those, too, which
/// have more in the bass.
fn library_with(sounds: &Arc<SoundLibrary>, fixture: &Fixture) -> Result<Arc<SoundLibrary>, String> {
    let mut own: Vec<&str> = Vec::new();
    for caller in &fixture.callers {
        for sound in sounds_of(&caller.never_hears, &caller.steps) {
            if let Sound::Wav(name) = sound
                && let Some((name, _)) = fixture.recordings.get_key_value(&name)
                && !own.contains(&name.as_str())
            {
                own.push(name);
            }
        }
    }
    let hears_wide = |caller: &Caller| caller.line.codecs.iter().any(|codec| codec.is_wide());
    let wide = fixture.callers.iter().any(hears_wide);
    if own.is_empty() && !wide {
        return Ok(sounds.clone());
    }
    let mut library = SoundLibrary::clone(sounds);
    for prompt in Prompt::ALL.iter().filter(|_| wide) {
        let sound = Sound::Prompt(prompt.key().to_owned());
        if library.knows(&sound) {
            library.add(sound, &downsampled(&audio::shipped_wide_prompt(*prompt)));
        }
    }
    for name in own {
        let samples = fixture.recordings.get(name).map(|samples| samples.as_ref()).unwrap_or_default();
        if !library.add(Sound::Wav(name.to_owned()), samples) {
            return Err(format!("{}: {name} is too short or too quiet to be recognized", fixture.path.display()));
        }
    }
    Ok(Arc::new(library))
}

/// Everything that a script asks the ears for.
fn sounds_of(never: &[super::fixture::Heard], steps: &[super::fixture::Step]) -> Vec<Sound> {
    let in_steps = steps.iter().flat_map(|step| match &step.action {
        Action::Hears { sounds, .. } | Action::NotHears { sounds, .. } | Action::NoLongerHears { sounds, .. } => {
            sounds.as_slice()
        }
        _ => &[],
    });
    let mut sounds: Vec<_> = never.iter().chain(in_steps).map(|heard| heard.sound.clone()).collect();
    sounds.sort();
    sounds.dedup();
    sounds
}

fn voice(speech: &Speech, fixture: &Fixture) -> Voice {
    match speech {
        Speech::Silence => Voice::Silence,
        Speech::Nothing => Voice::Nothing,
        Speech::Tone { hz } => Voice::Tone { hz: *hz },
        Speech::Wav(name) => fixture.recordings.get(name).cloned().map_or(Voice::Silence, Voice::Recording),
    }
}

/// Whether the present step is one that the mouth carries out.
fn is_spoken(script: &Script) -> bool {
    script.present_step().is_some_and(|step| {
        matches!(step.action, Action::Press(_) | Action::PressRecorded(_) | Action::Says { to_the_end: true, .. })
    })
}

fn told_deed(deed: &Deed) -> String {
    match deed {
        Deed::Dial => "dials".to_owned(),
        Deed::Say(speech) => format!("says {speech}"),
        Deed::Press(presses) => format!("presses {presses}"),
        Deed::PressRecorded(events) => format!("presses recorded keys: {events}"),
        Deed::HangUp => "hangs up".to_owned(),
        Deed::Cancel => "gives up".to_owned(),
        Deed::Reinvite(direction) => format!("sends a re-INVITE: {direction:?}"),
        Deed::Mark(name) => format!("is at {name:?}"),
    }
}

fn rounded(at: Duration) -> f64 {
    (at.as_secs_f64() * 1_000.0).round() / 1_000.0
}

fn file_name(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect()
}
