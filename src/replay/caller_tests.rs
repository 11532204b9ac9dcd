//! Scripts under virtual time, with hearings as the ears would report them.

use std::path::Path;

use super::*;
use crate::replay::fixture::FixtureFile;
use crate::replay::variables::Variables;

/// One caller's script from a fixture of these lines and steps, with the scene's clock.
struct Stage {
    script: Script,
    marks: Marks,
    now: Duration,
    deeds: Vec<String>,
    mouth_busy_until: Duration,
    next_number: u32,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Stage {
    fn new(lines: &str, steps: &str) -> Stage {
        let text = format!(
            "title = \"t\"\n[[caller]]\nname = \"Anna\"\n{lines}\nsteps = [{steps}]\n\
             [[caller]]\nname = \"Ben\"\nvoice = \"tone:1140\"\nsteps = [{{ marks = \"ready\" }}]\n"
        );
        let fixture = FixtureFile::parse(Path::new("t.toml"), text).unwrap().resolve(&Variables::default()).unwrap();
        Stage {
            script: Script::new(fixture.callers[0].clone(), 0),
            marks: Marks::default(),
            now: Duration::ZERO,
            deeds: Vec::new(),
            mouth_busy_until: Duration::ZERO,
            next_number: 0,
        }
    }

    /// A stage whose call is answered at 0.
    fn answered(steps: &str) -> Stage {
        let mut stage = Stage::new("", steps);
        stage.run_to(0);
        stage.script.handle_answered(stage.now, &mut stage.marks);
        stage
    }

    /// Runs the clock, the ears half a second behind it.
    fn run_to(&mut self, millis: u64) {
        loop {
            self.script.handle_heard_to(self.now.saturating_sub(ms(500)), false);
            self.script.handle_tick(self.now, self.now < self.mouth_busy_until, &mut self.marks);
            while let Some(deed) = self.script.poll_deed() {
                if let Deed::Press(presses) = &deed {
                    self.mouth_busy_until = self.now + presses.duration();
                }
                let told = match deed {
                    Deed::Dial => "dial".to_owned(),
                    Deed::Say(speech) => format!("say {speech}"),
                    Deed::Press(presses) => format!("press {presses}"),
                    Deed::PressRecorded(_) => "press recorded".to_owned(),
                    Deed::HangUp => "hang up".to_owned(),
                    Deed::Cancel => "cancel".to_owned(),
                    Deed::Mark(_) => continue,
                    Deed::Reinvite(direction) => format!("re-INVITE {direction:?}"),
                };
                self.deeds.push(format!("{} {told}", self.now.as_millis()));
            }
            if self.now >= ms(millis) {
                break;
            }
            self.now += ms(20);
        }
    }

    /// The ears report a sound that goes on.
    fn begins(&mut self, sound: &str, from: u64) -> u32 {
        self.next_number += 1;
        self.hears(self.next_number, sound, from, None, false);
        self.next_number
    }

    fn hears(&mut self, number: u32, sound: &str, from: u64, until: Option<u64>, whole: bool) {
        let sound = sound.parse().unwrap();
        self.script.handle_hearing(Hearing { number, sound, from: ms(from), until: until.map(ms), whole });
    }

    fn heard(&mut self, sound: &str, from: u64, until: u64) {
        let number = self.begins(sound, from);
        self.hears(number, sound, from, Some(until), true);
    }

    fn ends(&mut self, ended: Ended) {
        self.script.handle_ended(self.now, ended, &mut self.marks);
    }

    fn ears_finish(&mut self) {
        self.script.handle_heard_to(self.now, true);
    }

    fn failure(&self) -> String {
        let failure = self.script.failure().expect("should have failed");
        format!("{:?} {} / {}", failure.line, failure.expected, failure.found)
    }

    fn no_failure(&self) {
        assert_eq!(self.script.failure(), None);
    }
}

#[test]
fn he_dials_at_his_time_or_after_a_mark() {
    let mut stage = Stage::new("calls_at_s = 0.3", "");
    stage.run_to(280);
    assert!(stage.deeds.is_empty());
    stage.run_to(400);
    assert_eq!(stage.deeds, ["300 dial", "300 hang up"]);

    let mut stage = Stage::new("calls_when = \"Ben:ready\"\ncalls_at_s = 0.1", "{ waits_s = 1 }");
    stage.run_to(500);
    stage.marks.set(1, "ready", stage.now);
    stage.run_to(1_000);
    assert_eq!(stage.deeds, ["600 dial"]);
}

#[test]
fn a_prompt_counts_by_when_it_began_not_by_when_the_ears_knew() {
    let mut stage = Stage::answered("{ hears = \"prompt:welcome\", within_s = 1 }");
    stage.run_to(1_900);
    stage.no_failure();
    stage.heard("prompt:welcome", 990, 1_700);
    stage.run_to(2_000);
    stage.no_failure();
    assert_eq!(stage.deeds.last().unwrap(), "1900 hang up");

    let mut stage = Stage::answered("{ hears = \"prompt:welcome\", within_s = 1 }");
    stage.heard("prompt:welcome", 1_010, 1_700);
    stage.run_to(2_900);
    stage.no_failure();
    stage.run_to(3_100);
    assert_eq!(stage.failure(), "Some(5) hears prompt:welcome within 1 s / not heard: prompt:welcome");
}

#[test]
fn each_hearing_of_a_prompt_answers_one_step() {
    let steps = "{ hears = \"prompt:pin\" }, { keys = \"1\" }, { hears = \"prompt:pin\", within_s = 2 }";
    let mut stage = Stage::answered(steps);
    stage.heard("prompt:pin", 100, 900);
    stage.run_to(6_000);
    assert!(stage.failure().contains("not heard: prompt:pin"));

    let mut stage = Stage::answered(steps);
    stage.heard("prompt:pin", 100, 900);
    stage.run_to(1_200);
    stage.heard("prompt:pin", 1_000, 1_900);
    stage.run_to(1_300);
    stage.no_failure();
    assert_eq!(stage.deeds.last().unwrap(), "1200 hang up");
}

#[test]
fn music_must_sound_as_long_as_the_step_says() {
    let steps = "{ hears = \"music\", within_s = 1, for_s = 2 }, { marks = \"heard\" }";
    let mut stage = Stage::answered(steps);
    let music = stage.begins("music", 800);
    stage.run_to(3_200);
    stage.no_failure();
    assert_eq!(stage.deeds, ["0 dial"]);
    stage.run_to(3_400);
    assert_eq!(stage.deeds.last().unwrap(), "3300 hang up");

    let mut stage = Stage::answered(steps);
    stage.hears(music, "music", 800, Some(2_500), false);
    stage.run_to(4_000);
    assert!(stage.failure().contains("not heard: music"), "{}", stage.failure());
}

#[test]
fn a_tone_from_before_the_step_counts_from_the_step_on() {
    let mut stage = Stage::answered("{ waits_s = 1 }, { hears = \"caller:Ben\", for_s = 0.5 }");
    stage.hears(1, "tone:1140", 0, Some(1_400), false);
    stage.run_to(2_000);
    stage.no_failure();
    assert_eq!(stage.deeds, ["0 dial"]);
    stage.hears(2, "tone:1140", 1_500, Some(2_100), false);
    stage.run_to(2_100);
    assert_eq!(stage.deeds.last().unwrap(), "2000 hang up");
}

#[test]
fn all_of_several_sounds_must_be_heard() {
    let mut stage = Stage::answered("{ hears = [\"music\", \"prompt:a\"], within_s = 1 }");
    stage.begins("music", 0);
    stage.run_to(2_900);
    stage.run_to(3_100);
    assert_eq!(stage.failure(), "Some(5) hears music, prompt:a within 1 s / not heard: prompt:a");
}

#[test]
fn a_forbidden_sound_fails_in_its_time_and_only_then() {
    let steps = "{ waits_s = 1 }, { not_hears = \"music\", for_s = 1 }, { waits_s = 5 }";
    let mut stage = Stage::answered(steps);
    stage.hears(1, "music", 0, Some(1_050), false);
    stage.hears(2, "music", 2_050, Some(9_000), false);
    stage.run_to(6_000);
    stage.no_failure();

    let mut stage = Stage::answered(steps);
    stage.run_to(3_000);
    // The ears know late.
    stage.hears(1, "music", 1_800, None, false);
    stage.run_to(3_100);
    assert_eq!(stage.failure(), "Some(5) does not hear music for 1 s / heard music from 1.800 s to 2.000 s");
}

#[test]
fn from_now_on_means_to_the_end_of_the_call() {
    let steps = "{ hears = \"music\" }, { no_longer_hears = \"music\" }, { waits_s = 60 }";
    let mut stage = Stage::answered(steps);
    stage.begins("music", 0);
    stage.run_to(1_100);
    stage.hears(1, "music", 0, Some(1_200), false);
    stage.run_to(20_000);
    stage.no_failure();
    stage.begins("music", 19_000);
    stage.run_to(20_100);
    assert!(stage.failure().contains("no longer hears music / heard music from 19.000 s"), "{}", stage.failure());
}

#[test]
fn what_is_never_heard_is_watched_from_the_answer_to_the_end() {
    let mut stage = Stage::new("never_hears = [\"caller:Ben\"]", "{ ends = \"bye\", within_s = 10 }");
    stage.run_to(0);
    stage.script.handle_answered(stage.now, &mut stage.marks);
    stage.run_to(1_000);
    stage.ends(Ended::ByServer(Ending::Bye));
    stage.run_to(1_100);
    assert!(!stage.script.is_finished(), "the ears may still know something");
    stage.heard("tone:1140", 700, 950);
    stage.ears_finish();
    stage.run_to(1_200);
    assert_eq!(stage.failure(), "None never hears caller:Ben / heard caller:Ben from 0.700 s to 0.950 s");
}

#[test]
fn the_end_must_be_the_one_that_is_expected() {
    let cases = [
        ("bye", Ended::ByServer(Ending::Bye), None),
        ("any", Ended::Otherwise("the session timer ran out".into()), None),
        ("status:403", Ended::ByServer(Ending::Status(403)), None),
        ("status:403", Ended::ByServer(Ending::Status(486)), Some("the server ended the call (status:486)")),
        ("bye", Ended::Otherwise("the peer lost the dialog".into()), Some("the peer lost the dialog")),
    ];
    for (how, ended, found) in cases {
        let mut stage = Stage::new("", &format!("{{ ends = \"{how}\", within_s = 2 }}"));
        stage.run_to(100);
        stage.ends(ended);
        stage.run_to(200);
        match found {
            None => {
                stage.no_failure();
                assert!(stage.script.is_finished());
            }
            Some(found) => assert!(stage.failure().contains(found), "{}", stage.failure()),
        }
    }
    let mut stage = Stage::answered("{ ends = \"bye\", within_s = 2 }");
    stage.run_to(2_100);
    assert!(stage.failure().ends_with("the call goes on"));
}

#[test]
fn an_end_that_nobody_expected_fails_the_step_it_cuts_off() {
    for step in ["{ waits_s = 3 }", "{ keys = \"12345\" }", "{ not_hears = \"music\", for_s = 3 }"] {
        let mut stage = Stage::answered(step);
        stage.run_to(100);
        stage.ends(Ended::ByServer(Ending::Bye));
        stage.run_to(200);
        assert!(stage.failure().ends_with("the server ended the call (bye) at 0.100 s"), "{}", stage.failure());
    }
}

#[test]
fn what_was_said_before_the_end_may_be_known_after_it() {
    let mut stage = Stage::answered("{ hears = \"prompt:goodbye\", whole = true }, { ends = \"bye\" }");
    stage.run_to(1_000);
    stage.ends(Ended::ByServer(Ending::Bye));
    stage.run_to(1_040);
    stage.no_failure();
    stage.heard("prompt:goodbye", 200, 980);
    stage.ears_finish();
    stage.run_to(1_100);
    stage.no_failure();
    assert!(stage.script.is_finished());
}

#[test]
fn keys_take_their_time_and_marks_are_set() {
    let mut stage = Stage::answered("{ keys = \"12#\" }, { marks = \"typed\" }, { hangs_up = true }");
    stage.run_to(460);
    assert_eq!(stage.deeds, ["0 dial", "0 press 2 keys + # by rfc4733"]);
    stage.run_to(500);
    assert_eq!(stage.deeds.last().unwrap(), "480 hang up");
    let mark = |name: &str| MarkReference { callers: vec![0], name: name.into(), text: name.into() };
    assert_eq!(stage.marks.reached(&mark("typed")), Some(ms(480)));
    assert_eq!(stage.marks.reached(&mark("ended")), None);
    stage.ends(Ended::ByCaller);
    stage.ears_finish();
    stage.run_to(600);
    assert!(stage.script.is_finished());
    assert_eq!(stage.marks.reached(&mark("done")), Some(ms(500)));
}

#[test]
fn without_an_answer_nothing_can_be_heard() {
    let mut stage = Stage::new("", "{ hears = \"music\" }");
    stage.run_to(9_900);
    stage.no_failure();
    stage.run_to(10_100);
    assert!(stage.failure().ends_with("no answer to the call"));
    let mut stage = Stage::new("", "{ hears = \"music\" }");
    stage.run_to(100);
    stage.ends(Ended::ByServer(Ending::Status(503)));
    stage.run_to(200);
    assert!(stage.failure().ends_with("the server ended the call (status:503) at 0.100 s"), "{}", stage.failure());
}

#[test]
fn he_can_give_up_before_the_answer() {
    let mut stage = Stage::new("", "{ waits_s = 0.1 }, { cancels = true }, { ends = \"cancelled\" }");
    stage.run_to(200);
    assert_eq!(stage.deeds, ["0 dial", "100 cancel"]);
    stage.ends(Ended::ByServer(Ending::Cancelled));
    stage.run_to(300);
    stage.no_failure();
    assert!(stage.script.is_finished());
}

#[test]
fn the_time_limit_names_the_step_that_it_cut() {
    let mut stage = Stage::answered("{ waits_for = \"Ben:ready\" }");
    stage.run_to(3_000);
    stage.script.handle_time_limit(stage.now);
    assert_eq!(stage.failure(), "Some(5) waits for \"Ben:ready\" / the scene's time_limit_s ran out");
}
