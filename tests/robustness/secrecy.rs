//! Whole calls with wrong and right entries, by telephone-event and by INFO, at the highest log level; and afterwards no
//! typed digit anywhere: not in the log, the call records, the metrics, nor in any file of the server's folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::caller::{Caller, SOON};
use super::raw::*;
use super::support::Server;

/// He hears first that it is not valid: keys right behind a complete entry count as its own, pressed too often.
const BREATH: Duration = Duration::from_millis(1_200);

/// What must not be found, and where it is looked for.
struct Hidden {
    what: &'static str,
    text: String,
}

impl Hidden {
    /// As it was typed, and in the forms in which bytes are printed: spaced, quoted, as character codes.
    fn forms(&self) -> Vec<Vec<u8>> {
        let join =
            |separator: &str| self.text.split("").filter(|key| !key.is_empty()).collect::<Vec<_>>().join(separator);
        let codes =
            |show: fn(u8) -> String, separator: &str| self.text.bytes().map(show).collect::<Vec<_>>().join(separator);
        let hex = |byte| format!("{byte:02x}");
        let events = |byte: u8| format!("{}", byte - b'0');
        let mut forms: Vec<String> = vec![self.text.clone()];
        forms.extend([" ", ",", ", ", "', '", "\",\"", "-"].map(join));
        forms.extend(["", " ", ", ", ", 0x", "\\x"].map(|separator| codes(hex, separator)));
        forms.extend([", ", ","].map(|separator| codes(|byte| byte.to_string(), separator)));
        forms.extend([", ", ","].map(|separator| codes(events, separator)));
        forms.into_iter().map(String::into_bytes).collect()
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms().iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

/// A number of this many digits that is not `other`, nor a part of it.
fn another(other: &str) -> String {
    other.bytes().map(|digit| char::from(b'0' + (digit - b'0' + 3) % 10)).collect()
}

#[test]
fn no_pin_and_no_wrong_entry_is_anywhere_after_the_call() {
    std::thread::scope(|scope| {
        scope.spawn(|| tell_the_story("127.90.0", Caller::press));
        scope.spawn(|| tell_the_story("127.91.0", Caller::press_by_info));
    });
}

/// A wrong conference ID, the right one, a wrong PIN, the right one; then everything is searched.
fn tell_the_story(network: &str, press: impl Fn(&Caller, &str)) {
    let listen = format!("sip.listen={network}.1:0");
    let mut server = Server::start("secrecy", &[&listen, "log.level=trace", "attendant.prompt_repeat_s=60"]);
    // Long, so that it is no part of a time or a port by chance.
    assert!(server.command(&["settings", "set", "pin_length", "10"]).status.success());
    let organizer = server.enable("anna@example.com");
    let (pin, id) = (organizer.pin.as_str(), organizer.conference_id.as_str());
    let (wrong_pin, wrong_id) = (another(pin), another(id));

    let caller = Caller::call(server.sip, &format!("{network}.2"));
    caller.wait_established();
    press(&caller, &wrong_id);
    server.wait_for_line("entered a conference ID that leads nowhere", SOON);
    std::thread::sleep(BREATH);
    press(&caller, &format!("{id}#"));
    server.wait_for_line("entered a conference ID that exists", SOON);
    server.wait_for_line("is asked whether this is the organizer", SOON);
    press(&caller, "*");
    server.wait_for_line("is asked for the PIN", SOON);
    press(&caller, &format!("{wrong_pin}#"));
    server.wait_for_line("entered a wrong PIN", SOON);
    press(&caller, &format!("{pin}#"));
    server.wait_for_line("entered the right PIN", SOON);
    server.wait_for_line("is in the meeting, as its leader", SOON);
    let page = server.get("/metrics").1;
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_holds_no_call(&server);

    // An INFO that says what it is not asked for is refused, and not quoted; nor is one that can't be read.
    let plug = Plug::new(&format!("{network}.4"), server.sip);
    let call_id = unique("quoted");
    let info = request("INFO", "UDP", plug.address, server.sip, &call_id, &format!("Signal={pin}\r\n"));
    plug.send(info.replace("application/sdp", "application/dtmf-relay"));
    plug.wait_for_answer(&call_id, |status| status == 481);
    plug.send(info.replace("Content-Type: application/sdp\r\n", "").replace("CSeq: 1", "CSeq: one"));
    assert!(plug.ping(3));

    assert_eq!(server.records().len(), 1);
    let folder = server.folder().to_owned();
    let pages = format!("{page}{}", server.get("/metrics").1);
    let listed = server.command(&["user", "show", "anna@example.com", "--json"]);
    let audited = server.command(&["audit", "--json"]);
    let mut places = files(&folder);
    // What is in memory only while the server runs may be in its files when it has ended.
    server.terminate();
    assert_eq!(server.wait(SOON), 0);
    places.extend(files(&folder));
    places.push(("the log".to_owned(), server.log_text().into_bytes()));
    places.push(("/metrics".to_owned(), pages.into_bytes()));
    places.push(("user show".to_owned(), listed.stdout));
    places.push(("audit".to_owned(), audited.stdout));
    let names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
    for part in ["anteroom.db", "anteroom.db-wal", "anteroom.key", "calls.jsonl"] {
        assert!(names.iter().any(|name| name.ends_with(part)), "{part} was not looked at: {names:?}");
    }

    let hidden = [
        Hidden { what: "the PIN", text: pin.to_owned() },
        Hidden { what: "the wrong PIN", text: wrong_pin },
        Hidden { what: "the wrong conference ID", text: wrong_id },
    ];
    for secret in &hidden {
        for (name, bytes) in &places {
            assert!(!secret.is_in(bytes), "{} is in {name}", secret.what);
        }
    }
    // The scan finds what is there: the right conference ID is told, where it is right.
    let known = Hidden { what: "the conference ID", text: id.to_owned() };
    let found: Vec<&str> =
        places.iter().filter(|(_, bytes)| known.is_in(bytes)).map(|(name, _)| name.as_str()).collect();
    assert!(found.contains(&"the log") && found.iter().any(|name| name.ends_with("calls.jsonl")), "{found:?}");
    // No body of an INFO is quoted, not even one key of it.
    let log = server.log_text();
    for word in ["Signal=", "Signal =", "dtmf-relay\\r\\n", "53 69 67 6e 61 6c"] {
        assert!(!log.contains(word), "{word:?} is in the log");
    }
    assert!(!log.contains("panicked"));
}
