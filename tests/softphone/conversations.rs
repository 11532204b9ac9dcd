//! The journeys of people with a softphone.

use std::time::Duration;

use crate::listening::{Recording, seconds_of};
use crate::phone::Phone;
use crate::support::{Organizer, Server};

const SOON: Duration = Duration::from_secs(15);

// Their voices: between the notes of the hold music, and no frequencies of keys.
const ANNA_HZ: f64 = 1130.0;
const BEN_HZ: f64 = 1850.0;

/// PINs so long that they are in no time stamp or port by chance.
fn server_with_organizer(name: &str, settings: &[&str]) -> (Server, Organizer) {
    let server = Server::start(name, settings);
    assert!(server.command(&["settings", "set", "pin_length", "12"]).status.success());
    let organizer = server.enable("anna@example.com");
    (server, organizer)
}

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Somebody waits with music, the organizer comes with the PIN, they talk, they hang up.
#[test]
#[ignore = "needs baresip (Debian: baresip-core); tests/run installs and runs it"]
fn one_waits_with_music_until_the_organizer_starts_the_meeting() {
    let (server, organizer) = server_with_organizer("softphone-meeting", &["attendant.organizer_question_s=1"]);

    let mut anna = Phone::start(&server, "anna", ANNA_HZ, "PCMU");
    anna.dial();
    sleep(4.0);
    anna.press(&format!("{}#", organizer.conference_id));
    server.wait_for_line("waits in the lobby", SOON);
    sleep(6.0);

    let mut ben = ben_starts_the_meeting(&server, &organizer, "PCMA", 1);
    anna.hang_up();
    let anna = anna.heard();
    sleep(1.0);
    ben.hang_up();
    let ben = ben.heard();

    // Anna: the attendant, the lobby, music; the chime, and Ben; never herself.
    let order = ["en/welcome.wav", "en/enter-conference-id.wav", "en/organizer-question.wav"];
    let order = order.into_iter().chain(["en/please-wait-for-organizer.wav", "tones/entry.wav"]);
    let chime = assert_heard_in_order("Anna", &anna.without_tone(BEN_HZ), order);
    assert!(anna.is_out_of(chime - 3.0, &Recording::of_server("hold/quiet-hours.wav")), "no music before the start");
    assert_talks("Anna", &anna, chime, BEN_HZ, 3.0);
    assert_never("Anna", &anna, 0.0, ANNA_HZ);

    // Ben: the attendant, interrupted by his keys; the chime, and Anna until she hangs up; never himself.
    let order = ["en/welcome.wav", "en/enter-pin.wav", "tones/entry.wav"];
    let beside_anna = ben.without_tone(ANNA_HZ);
    let chime = assert_heard_in_order("Ben", &beside_anna, order.into_iter());
    assert_talks("Ben", &ben, chime, ANNA_HZ, 3.0);
    assert_never("Ben", &ben, 0.0, BEN_HZ);
    let music = Recording::of_server("hold/quiet-hours.wav");
    assert!(!ben.is_out_of(chime + 1.0, &music), "music in a meeting");
    assert!(
        ben.find(&Recording::of_server("tones/exit.wav")).is_some_and(|exit| exit > chime),
        "nobody heard to leave"
    );

    let records = server.wait_for_records(2, SOON);
    for (record, name, leader, codec) in [(&records[0], "anna", false, "PCMU"), (&records[1], "ben", true, "PCMA")] {
        assert_eq!(record["from"], name, "{record}");
        assert_eq!((&record["leader"], &record["codec"]), (&leader.into(), &codec.into()));
        assert_eq!((&record["reached"], &record["ended"]), (&"meeting".into(), &"caller_hung_up".into()));
        assert_eq!(record["conference_id"], organizer.conference_id.as_str());
        assert!(record["packets_received"].as_u64().unwrap() > 200, "{record}");
        assert_eq!((&record["packets_lost"], &record["packets_refused"]), (&0.into(), &0.into()), "{record}");
    }
    server.assert_keys_unlogged(&[&organizer.pin]);
    assert!(!serde_json::to_string(&records).unwrap().contains(&organizer.pin));
}

/// Ben calls, and is the organizer that so many wait for. He is four seconds with them already.
fn ben_starts_the_meeting(server: &Server, organizer: &Organizer, codec: &str, waiting: usize) -> Phone {
    let mut ben = Phone::start(server, "ben", BEN_HZ, codec);
    ben.dial();
    sleep(0.5);
    ben.press(&organizer.conference_id);
    // The others were asked too.
    server.wait_for_lines("is asked whether this is the organizer", waiting + 1, SOON);
    ben.press("*");
    server.wait_for_line("is asked for the PIN", SOON);
    sleep(1.5);
    ben.press(&format!("{}#", organizer.pin));
    server.wait_for_line("the meeting starts, by the leader's PIN", SOON);
    sleep(4.0);
    ben
}

/// When the last of these sounds was heard, all of them in this order.
fn assert_heard_in_order(who: &str, heard: &Recording, sounds: impl Iterator<Item = &'static str>) -> f64 {
    let mut last = (-1.0, "nothing");
    for sound in sounds {
        let at = heard.find(&Recording::of_server(sound));
        let at = at.unwrap_or_else(|| panic!("{who} has not heard {sound} in {} s", heard.seconds()));
        assert!(at > last.0, "{who} heard {sound} at {at} s, and {} at {} s", last.1, last.0);
        last = (at, sound);
    }
    last.0
}

/// The other's tone: never before the meeting began, then alone and whole for so many seconds.
fn assert_talks(who: &str, heard: &Recording, began: f64, hz: f64, seconds: f64) {
    let shares = heard.tone_shares(hz);
    let early = shares.iter().enumerate().find(|(number, share)| **share > 0.5 && seconds_of(*number) < began - 0.1);
    assert!(early.is_none(), "{who} heard the other's voice before the meeting: {early:?}, it began at {began} s");
    // The chime is 0.45 s long.
    let talk = shares.iter().enumerate().filter(|(number, _)| seconds_of(*number) >= began + 0.6);
    let talk: Vec<f64> = talk.map(|(_, share)| *share).take((seconds * 10.0) as usize).collect();
    assert_eq!(talk.len(), (seconds * 10.0) as usize, "{who} was not {seconds} s in the meeting");
    // Concealment of a packet that this busy machine delivered late is no voice of anybody else.
    let clean = talk.iter().filter(|share| **share > 0.95).count();
    assert!(clean * 10 >= talk.len() * 9, "{who} heard the other's voice torn or with something else: {talk:.2?}");
}

fn assert_never(who: &str, heard: &Recording, from: f64, hz: f64) {
    let shares = heard.tone_shares(hz);
    let heard = shares.iter().enumerate().find(|(number, share)| **share > 0.3 && seconds_of(*number) >= from);
    assert!(heard.is_none(), "{who} heard a tone of {hz} Hz: {heard:?} (window, share)");
}

#[test]
#[ignore = "needs baresip (Debian: baresip-core); tests/run installs and runs it"]
fn telephones_with_g722_and_with_g711_hear_each_other() {
    let settings = ["attendant.organizer_question_s=1"];
    telephones_hear_each_other("softphone-g722", &settings, ["G722", "G722", "PCMU"], "G722");
}

/// baresip's Opus comes with two channels, and with keys of another clock than the voice's.
#[test]
#[cfg(feature = "opus")]
#[ignore = "needs baresip (Debian: baresip-core); tests/run installs and runs it"]
fn telephones_with_opus_and_with_others_hear_each_other() {
    let settings = ["attendant.organizer_question_s=1", "sip.codecs=opus,G722,PCMU"];
    telephones_hear_each_other("softphone-opus", &settings, ["opus", "G722", "PCMU"], "opus");
}

/// Three and the organizer, each with a codec of his: all hear the attendant, the music, and each other.
fn telephones_hear_each_other(test: &str, settings: &[&str], codecs: [&str; 3], of_ben: &str) {
    let (server, organizer) = server_with_organizer(test, settings);
    let mut phones = Vec::new();
    for ((name, hz), codec) in [("dora", ANNA_HZ), ("emma", 730.0), ("finn", 2310.0)].into_iter().zip(codecs) {
        let mut phone = Phone::start(&server, name, hz, codec);
        phone.dial();
        sleep(2.0);
        phone.press(&format!("{}#", organizer.conference_id));
        phones.push((phone, codec));
    }
    server.wait_for_lines("waits in the lobby", 3, SOON);
    sleep(5.0);
    let mut ben = ben_starts_the_meeting(&server, &organizer, of_ben, 3);
    ben.hang_up();
    let ben = ben.heard();
    for (mut phone, codec) in phones {
        phone.hang_up();
        let (name, heard) = (phone.name().to_owned(), phone.heard());
        // Each has the recordings of his own rate.
        let folder = if codec == "PCMU" { "" } else { "16k/" };
        let find =
            |sound: String| heard.find(&Recording::of_server(&sound)).unwrap_or_else(|| panic!("{name}: {sound}"));
        let order = ["welcome", "enter-conference-id", "please-wait-for-organizer"];
        let heard_at = order.map(|prompt| find(format!("en/{folder}{prompt}.wav")));
        assert!(heard_at.is_sorted(), "{name}: {heard_at:?}");
        let music = Recording::of_server(&format!("hold/{folder}quiet-hours.wav"));
        assert!(heard.is_out_of(heard_at[2] + 4.0, &music), "{name}: no music");
        assert!(heard.tone_shares(BEN_HZ).iter().any(|share| *share > 0.15), "{name} has not heard Ben");
    }
    for hz in [ANNA_HZ, 730.0, 2310.0] {
        assert!(ben.tone_shares(hz).iter().any(|share| *share > 0.15), "Ben has not heard {hz} Hz");
    }
    assert_never("Ben", &ben, 0.0, BEN_HZ);
    let records = server.wait_for_records(4, SOON);
    let mut spoken: Vec<&str> = records.iter().map(|record| record["codec"].as_str().unwrap()).collect();
    let mut expected = [&codecs[..], &[of_ben]].concat();
    spoken.sort_unstable();
    expected.sort_unstable();
    assert_eq!(spoken, expected);
}

/// Three conference IDs that lead nowhere: "Goodbye", and the server hangs up.
#[test]
#[ignore = "needs baresip (Debian: baresip-core); tests/run installs and runs it"]
fn three_wrong_conference_ids_end_the_call() {
    let (server, organizer) = server_with_organizer("softphone-wrong-ids", &[]);
    let mut carla = Phone::start(&server, "carla", ANNA_HZ, "PCMU");
    carla.dial();
    sleep(1.0);
    let number: u32 = organizer.conference_id.parse().unwrap();
    let wrong_ids: Vec<String> =
        (1..=3).map(|step| format!("{:07}", (number + step * 1_234_567) % 10_000_000)).collect();
    for (count, wrong_id) in wrong_ids.iter().enumerate() {
        carla.press(&format!("{wrong_id}#"));
        server.wait_for_lines("entered a conference ID that leads nowhere", count + 1, SOON);
        // She hears that it is not valid before she tries again.
        sleep(2.0);
    }
    let heard = carla.heard();
    let order = ["en/welcome.wav", "en/conference-id-invalid.wav", "en/goodbye.wav"];
    let goodbye = assert_heard_in_order("Carla", &heard, order.into_iter());
    let length = Recording::of_server("en/goodbye.wav").seconds();
    assert!(heard.seconds() > goodbye + length - 0.1, "Goodbye is cut off");
    let record = &server.wait_for_records(1, SOON)[0];
    assert_eq!((&record["reached"], &record["ended"]), (&"attendant".into(), &"conference_tries_used_up".into()));
    assert_eq!(record["conference_id"], serde_json::Value::Null);
    let secrets: Vec<&str> = wrong_ids.iter().map(String::as_str).collect();
    server.assert_keys_unlogged(&secrets);
    assert!(wrong_ids.iter().all(|wrong_id| !record.to_string().contains(wrong_id)), "{record}");
}

/// Anna presses hold: Ben hears neither her nor her telephone's music; then they talk again. (Her own recording ends with
/// the hold: baresip 1.0 takes its recorder out then. The server's count tells that she is sent sound again.)
#[test]
#[ignore = "needs baresip (Debian: baresip-core); tests/run installs and runs it"]
fn one_holds_and_comes_back() {
    let (server, organizer) = server_with_organizer("softphone-hold", &[]);
    let set = ["user", "set", "anna@example.com", "--allow-anonymous-start", "true"];
    assert!(server.command(&set).status.success());
    let mut anna = Phone::start(&server, "anna", ANNA_HZ, "PCMU");
    let mut ben = Phone::start(&server, "ben", BEN_HZ, "PCMU");
    for (count, phone) in [&mut anna, &mut ben].into_iter().enumerate() {
        phone.dial();
        sleep(0.5);
        phone.press(&format!("{}#", organizer.conference_id));
        server.wait_for_lines("is in the meeting", count + 1, SOON);
    }
    sleep(2.0);
    anna.hold();
    server.wait_for_line("the caller changed the media: one way", SOON);
    sleep(2.0);
    anna.resume();
    server.wait_for_line("the caller changed the media: both ways", SOON);
    sleep(2.5);
    anna.hang_up();
    let anna = anna.heard();
    ben.hang_up();
    let ben = ben.heard();

    let chime = anna.without_tone(BEN_HZ).find(&Recording::of_server("tones/entry.wav"));
    assert!(chime.is_some(), "Anna heard nobody enter");
    // Ben: her voice, nothing, her voice.
    let (shares, silences) = (ben.tone_shares(ANNA_HZ), ben.silences());
    let hers: Vec<usize> = (0..shares.len()).filter(|&at| shares[at] > 0.9).collect();
    let (first, last) = (hers[0], hers[hers.len() - 1]);
    let quiet = (first..last).filter(|&at| silences[at]).count();
    let story: String = shares.iter().zip(&silences).map(|(share, silent)| glyph(*share, *silent)).collect();
    assert!((15..=25).contains(&quiet), "Ben heard silence for {quiet} of 100 ms: {story}");
    let longest = story[first..=last].split('v').map(str::len).max().unwrap();
    assert!(longest >= quiet && longest <= quiet + 3, "Ben heard something else between Anna's words: {story}");
    let after = hers.iter().filter(|&&at| at > last.saturating_sub(20)).count();
    assert!(after >= 15, "Anna is not heard again: {story}");
    assert_never("Ben", &ben, 0.0, BEN_HZ);

    let records = server.wait_for_records(2, SOON);
    let anna = records.iter().find(|record| record["from"] == "anna").unwrap();
    let missing = anna["talked_s"].as_f64().unwrap() * 50.0 - anna["packets_sent"].as_f64().unwrap();
    assert!((85.0..125.0).contains(&missing), "{missing} packets of 50 a second were not sent: {anna}");
    assert_eq!((&anna["reached"], &anna["ended"]), (&"meeting".into(), &"caller_hung_up".into()));
}

/// One window of a recording, for a person to read: voice, silence, something else.
fn glyph(share: f64, silent: bool) -> char {
    match () {
        () if share > 0.9 => 'v',
        () if silent => '.',
        () => '?',
    }
}
