//! Whole scenes over real sockets, against a small exchange made of our own SIP endpoint.

mod exchange;

use std::path::Path;
use std::time::Duration;

use super::ears::test_sounds::synthetic;
use super::*;
use exchange::Exchange;

/// Plays a fixture of this text against an exchange of its own.
fn played(text: &str) -> report::FixtureReport {
    let exchange = Exchange::start();
    let mut variables = Variables::default();
    variables.set("pin", "80909");
    let file = FixtureFile::parse(Path::new("scene.toml"), text.to_owned()).unwrap();
    let options = Options {
        to: format!("sip:100@{}", exchange.address()),
        variables: variables.clone(),
        sounds: synthetic(),
        recordings: None,
        impairment: None,
    };
    let report = play(&[file.resolve(&variables).unwrap()], &options).unwrap();
    assert!(!report.to_string().contains("80909") && !serde_json::to_string(&report).unwrap().contains("80909"));
    exchange.wait_for_quiet(Duration::from_secs(3));
    report.fixtures.into_iter().next().unwrap()
}

fn passes(text: &str) -> report::FixtureReport {
    let report = played(text);
    assert!(report.passed, "{report}");
    report
}

fn fails(text: &str) -> report::FailureReport {
    let report = played(text);
    assert!(!report.passed, "{report}");
    report.failure.unwrap()
}

#[test]
fn a_caller_hears_a_prompt_and_music_presses_keys_and_is_sent_away() {
    let report = passes(
        r#"
        title = "One caller"
        [[caller]]
        name = "Anna"
        voice = "tone:1140"
        never_hears = "caller:Anna"
        steps = [
            { hears = "prompt:1", within_s = 0.5, whole = true },
            { hears = "music", within_s = 1, for_s = 1 },
            { keys = "9" },
            { hears = "prompt:2", within_s = 1, whole = true },
            { ends = "bye", within_s = 2 },
        ]
        "#,
    );
    assert!(report.story.contains("presses 1 key by rfc4733"), "{report}");
    let caller = &report.callers[0];
    assert_eq!((caller.packets_lost, caller.packets_strange, caller.codec.as_deref()), (0, 0, Some("PCMU")));
    assert!(caller.packets_received > 200 && caller.packets_sent > 200, "{caller:?}");
    assert_eq!(caller.ended.as_deref(), Some("the server ended the call (bye)"));
}

#[test]
fn two_callers_meet_by_the_keys_of_one_of_them_whichever_way_they_go() {
    for (method, codec) in [("rfc4733", "pcmu"), ("info-relay", "pcma"), ("info", "pcmu")] {
        passes(&format!(
            r#"
            title = "Two callers"
            [[caller]]
            name = "Guest"
            count = 2
            voice = "tone:1140"
            codecs = ["pcma", "pcmu"]
            steps = [
                {{ hears = "music" }},
                {{ marks = "waiting" }},
                {{ hears = "chime:entry", within_s = 10 }},
                {{ no_longer_hears = "music" }},
                {{ hears = "caller:Anna", within_s = 2, for_s = 1 }},
                {{ hangs_up = true }},
            ]
            [[caller]]
            name = "Anna"
            voice = "tone:1438"
            codecs = ["{codec}"]
            calls_when = "Guest:waiting"
            steps = [
                {{ keys = "*${{pin}}#", by = "{method}", on_ms = 60, off_ms = 60 }},
                {{ hears = "caller:Guest", within_s = 2 }},
                {{ waits_for = "Guest:ended" }},
            ]
            "#
        ));
    }
}

#[test]
fn what_is_not_heard_is_told_with_what_was() {
    let failure = fails(
        r#"
        title = "Waits for the wrong prompt"
        [[caller]]
        name = "Anna"
        steps = [
            { hears = "prompt:3", within_s = 1.5 },
        ]
        "#,
    );
    assert_eq!((failure.caller.as_str(), failure.line), ("Anna", Some(6)));
    assert_eq!(failure.expected, "hears prompt:3 within 1.5 s");
    assert_eq!(failure.found, "not heard: prompt:3");
    assert!(failure.heard.iter().any(|heard| heard.starts_with("prompt:1 from 0.")), "{failure:?}");
    assert!(failure.heard.iter().any(|heard| heard.starts_with("music from ")), "{failure:?}");
}

#[test]
fn music_where_none_may_be_is_caught() {
    let failure = fails(
        r#"
        title = "No music, please"
        [[caller]]
        name = "Anna"
        never_hears = ["music"]
        steps = [{ waits_s = 20 }]
        "#,
    );
    assert!(failure.found.starts_with("heard music from "), "{failure:?}");
}

#[test]
fn refusals_cancels_and_silence_end_as_they_are_expected() {
    passes(
        r#"
        title = "Three who do not get through"
        [[caller]]
        name = "Refused"
        to = "403"
        steps = [{ ends = "status:403", within_s = 1 }]
        [[caller]]
        name = "Impatient"
        to = "180"
        steps = [{ waits_s = 0.3 }, { cancels = true }, { ends = "cancelled", within_s = 1 }]
        [[caller]]
        name = "Late"
        calls_when = "Impatient:ended"
        steps = [{ hears = "sound" }]
        "#,
    );
    let failure = fails("title = \"t\"\n[[caller]]\nname = \"A\"\nto = \"403\"\nsteps = [{ hears = \"music\" }]");
    assert!(failure.found.starts_with("the server ended the call (status:403)"), "{failure:?}");
}

#[test]
fn a_call_can_be_held_and_resumed() {
    let report = passes(
        r#"
        title = "Hold"
        [[caller]]
        name = "Anna"
        steps = [
            { hears = "music" },
            { holds = "inactive" },
            { not_hears = "music", for_s = 1.2 },
            { resumes = true },
            { hears = "music", within_s = 2 },
        ]
        "#
        .replace("{ not_hears", "{ waits_s = 0.3 }, { not_hears")
        .as_str(),
    );
    assert!(report.story.contains("Inactive"), "{report}");
}

#[test]
fn fifty_callers_meet_in_time() {
    let report = passes(
        r#"
        title = "A full lobby"
        [[caller]]
        name = "Guest"
        count = 49
        every_ms = 10
        voice = "tone:1140"
        steps = [
            { hears = "music", for_s = 0.5 },
            { marks = "waiting" },
            { hears = "caller:Anna", within_s = 15, for_s = 0.5 },
            { no_longer_hears = "music" },
            { waits_s = 2 },
        ]
        [[caller]]
        name = "Anna"
        voice = "tone:1438"
        calls_when = "Guest:waiting"
        steps = [
            { keys = "*${pin}#", on_ms = 60, off_ms = 60 },
            { waits_for = "Guest:done" },
        ]
        "#,
    );
    assert!(report.callers.iter().all(|caller| caller.packets_lost == 0), "{report}");
}

#[test]
fn the_fixtures_are_all_checked_before_the_first_is_played() {
    let options = Options {
        to: "sip:127.0.0.1:9".into(),
        variables: Variables::default(),
        sounds: synthetic(),
        recordings: None,
        impairment: None,
    };
    let error = run(&[PathBuf::from("no-such-fixture.toml")], &options).unwrap_err().to_string();
    assert!(error.starts_with("no-such-fixture.toml: "), "{error}");
    let fixtures = ["1", "no-such-prompt"].map(|prompt| {
        let steps = format!("steps = [{{ hears = \"prompt:{prompt}\" }}]");
        let text = format!("title = \"t\"\n[[caller]]\nname = \"Anna\"\n{steps}");
        FixtureFile::parse(Path::new(prompt), text).unwrap().resolve(&options.variables).unwrap()
    });
    let recordings = std::env::temp_dir().join(format!("anteroom-replay-{}", std::process::id()));
    let recorded = Options { recordings: Some(recordings.clone()), ..options.clone() };
    let error = play(&fixtures, &recorded).unwrap_err().to_string();
    assert!(error.starts_with("no-such-prompt: "), "{error}");
    assert!(!recordings.exists(), "nothing was played");
    let error = play(&[], &Options { to: "8000".into(), ..options }).unwrap_err().to_string();
    assert!(error.starts_with("--to: "), "{error}");
}

#[test]
fn every_shipped_fixture_is_sound_and_asks_for_nothing_that_is_not_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = SoundLibrary::from_folder(&folder.join("audio"), "en").unwrap();
    let mut variables = Variables::default();
    for prefix in ["", "second_"] {
        variables.set(format!("{prefix}conference_id"), "1234567");
        variables.set(format!("{prefix}pin"), "80909");
    }
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("fixtures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let file = FixtureFile::read(&path).unwrap();
        let fixture = file.resolve(&variables).unwrap_or_else(|error| panic!("{error}"));
        assert!(!fixture.covers.is_empty(), "{}", fixture.name);
        scene::check(&fixture, &Arc::new(library.clone())).unwrap();
        // Every user that the server must have is one whose variables are known here.
        assert!(file.server().users().iter().all(|user| variables.get(&format!("{}pin", user.prefix)).is_some()));
        count += 1;
    }
    assert!(count >= 40, "{count}");
}
