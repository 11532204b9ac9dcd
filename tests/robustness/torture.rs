//! The messages of RFC 4475 and RFC 5118 to the running server, with the statuses that their index allows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::raw::*;
use super::support::Server;

const OPEN: &str = "sip.trunks=[{name=\"open\", from=[\"0.0.0.0/0\", \"::/0\"]}]";

/// One row of an index.
struct Row {
    file: String,
    path: String,
    /// The statuses that are right, as a regular expression; `none`: no answer.
    pattern: String,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for folder in ["rfc4475", "rfc5118"] {
        let index = std::fs::read_to_string(format!("{}/{folder}/index.tsv", root())).unwrap();
        for line in index.lines().skip(1).filter(|line| !line.trim().is_empty()) {
            let columns: Vec<&str> = line.split('\t').collect();
            rows.push(Row {
                file: columns[0].to_owned(),
                path: format!("{}/{folder}/{}", root(), columns[0]),
                pattern: columns[5].to_owned(),
            });
        }
    }
    rows
}

fn root() -> String {
    format!("{}/tests/torture", env!("CARGO_MANIFEST_DIR"))
}

pub fn messages() -> Vec<Vec<u8>> {
    rows().iter().map(|row| std::fs::read(&row.path).unwrap()).collect()
}

/// The index's expressions need no more of the language than `|`, `(…)` and `.`.
fn admits(pattern: &str, status: &str) -> bool {
    /// Every rest of `text` behind a beginning that `pattern` (up to its end or a bracket that closes) describes.
    fn rests<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
        alternatives(pattern).into_iter().flat_map(|sequence| follow(sequence, text)).collect()
    }
    fn follow<'a>(sequence: &str, text: &'a str) -> Vec<&'a str> {
        let Some(first) = sequence.chars().next() else { return vec![text] };
        if first == '(' {
            let inner = closing(sequence);
            let behind = &sequence[inner + 1..];
            return rests(&sequence[1..inner], text).into_iter().flat_map(|rest| follow(behind, rest)).collect();
        }
        match text.chars().next() {
            Some(is) if first == '.' || first == is => follow(&sequence[1..], &text[1..]),
            _ => Vec::new(),
        }
    }
    fn closing(text: &str) -> usize {
        let mut depth = 0;
        let found = text.char_indices().find(|(_, character)| {
            depth += i32::from(*character == '(') - i32::from(*character == ')');
            depth == 0
        });
        found.unwrap().0
    }
    fn alternatives(text: &str) -> Vec<&str> {
        let mut depth = 0;
        text.split(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            character == '|' && depth == 0
        })
        .collect()
    }
    rests(pattern.trim_start_matches('^').trim_end_matches('$'), status).contains(&"")
}

#[test]
fn the_index_is_read_rightly() {
    let pattern = "^(1..|2..|4(01|03)|503|6..)$";
    let right = ["100", "200", "401", "403", "503", "600"];
    assert!(right.iter().all(|status| admits(pattern, status)));
    assert!(!["404", "504", "40", "4011", "none"].iter().any(|status| admits(pattern, status)));
    assert!(admits("^400$", "400") && admits("none", "none") && admits("^(400|none)$", "none"));
    assert!(!admits("^400$", "none") && !admits("none", "400"));
}

/// The port to which the answer goes: that of the top Via's sent-by, as none of them asks for another (`rport` does, in
/// the one that names 5070: there it is the source's).
fn answer_port(file: &str) -> u16 {
    match file {
        "quotbal.dat" => 5050,
        "mult-ip-in-header.dat" => 6050,
        _ if file.starts_with("ipv4-mapped-ipv6") => 19_823,
        _ => 5060,
    }
}

#[test]
fn each_message_over_udp_gets_the_answer_that_its_index_allows() {
    let mut servers: Vec<(Server, Plug)> = Vec::new();
    let (mut wrong, mut seen) = (Vec::new(), BTreeMap::new());
    let mut transactions = BTreeMap::new();
    for (number, row) in rows().iter().enumerate() {
        let message = std::fs::read(&row.path).unwrap();
        // Some have the method, sent-by and branch of one before: to a server that remembers that one they are the same
        // request, come again (RFC 3261 section 17.2.3). They go to another one.
        let transaction = transactions.entry(top_via(&message)).or_insert(0);
        if *transaction == servers.len() {
            let listen = format!("sip.listen=127.40.0.{}:0", servers.len() + 1);
            let server = Server::start("torture-udp", &[&listen, OPEN]);
            let patience = Plug::new("127.40.0.100", server.sip);
            servers.push((server, patience));
        }
        let (server, patience) = &servers[*transaction];
        *transaction += 1;
        // Each comes from an address of its own: so an answer belongs to its message, however late or odd it is.
        let plug = Plug::new(&format!("127.40.1.{}:{}", number + 1, answer_port(&row.file)), server.sip);
        plug.send(&message);
        assert!(patience.ping(3), "no life after {}", row.file);
        let answers = plug.drain();
        let first = answers.first().map(|answer| status(answer).unwrap_or(0));
        let shown = first.map_or("none".to_owned(), |status| status.to_string());
        // Where the RFC prints a wrong Content-Length, and the index has it right besides, the print is as wrong as clerr.
        let is_misprint = Path::new(&row.path).with_extension("fixcl.dat").exists();
        let excused = is_misprint && first == Some(400);
        if !admits(&row.pattern, &shown) && !excused {
            wrong.push(format!("{}: {shown}, not {}", row.file, row.pattern));
        }
        *seen.entry(shown).or_insert(0) += 1;
        // Octets behind a message that says where it ends are nothing: one datagram, one answer. (A 200 follows its 100.)
        let finals = answers.iter().filter(|answer| status(answer).is_some_and(|status| status >= 200));
        assert!(finals.count() <= 1, "{}", row.file);
        if first == Some(100) {
            let call_id = header(&response(&answers[0]).unwrap(), &anteroom::wire::sip::HeaderName::CallId);
            let settled = answers.iter().filter_map(|answer| response(answer)).find(|answer| answer.status >= 200);
            let settled = settled.unwrap_or_else(|| plug.wait_for_answer(&call_id, |status| status >= 200));
            if settled.status < 300 {
                plug.acknowledge_and_leave(&settled);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen.values().sum::<i32>(), 64);
    for (server, _) in &mut servers {
        assert_holds_no_call(server);
        assert_takes_a_call(server, "127.40.0.101");
        assert_never_panicked(server);
    }
}

/// Method and top Via.
fn top_via(message: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(message).into_owned();
    let method = text.split_whitespace().next().unwrap_or_default().to_owned();
    let via = text.lines().find(|line| line.starts_with("Via:") || line.starts_with("v:"));
    (method, via.unwrap_or_default().to_owned())
}

/// A message of RFC 4475.
pub fn message(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/rfc4475/{name}.dat", root())).unwrap()
}

/// Over a stream a message ends where its Content-Length says; where that can't be believed the connection is closed. (A body
/// that is promised and does not come, clerr, is in `connections`, among others that are waited for.)
#[test]
fn over_tcp_the_content_length_rules() {
    let mut server = Server::start("torture-tcp", &["sip.listen=127.41.0.1:0", OPEN]);

    // Framing lost: closed at once.
    for name in ["ncl", "mcl01"] {
        let mut stream = connect("127.41.0.2", server.sip);
        assert!(write_some(&mut stream, message(name)));
        let (answer, closed_after) = read_until_closed(&mut stream, Duration::from_secs(8));
        assert!(closed_after.is_some(), "{name}: still open");
        assert!(answer.is_empty() || status(&answer) == Some(400), "{name}");
    }

    // Two messages in one go are two messages, each with its answer, in their order. (And the last five octets of the
    // second one's body, which the RFC's Content-Length leaves over, are no third.)
    let mut stream = connect("127.41.0.3", server.sip);
    assert!(write_some(&mut stream, message("dblreq")));
    let (answers, closed_after) = read_until_closed(&mut stream, Duration::from_secs(8));
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let (register, invite) = (answers.find(" REGISTER\r\n"), answers.find(" INVITE\r\n"));
    assert!(answers.starts_with("SIP/2.0 405") && register.is_some() && register < invite, "{answers}");
    assert!(closed_after.is_some());
    // The INVITE was answered, and its connection is gone before an ACK: nothing stays of it.
    assert_holds_no_call(&server);
    assert_takes_a_call(&server, "127.41.0.5");
    assert_never_panicked(&mut server);
}
