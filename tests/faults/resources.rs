//! What a call needs of the machine is used up: it gets 503 and the operator reads why; calls in progress go on, and when
//! there is room again the next call is answered.

use std::fs;
use std::net::UdpSocket;

use anteroom::sip::EndReason;

use super::caller::{Caller, SOON};
use super::support::Server;
use super::{assert_goes_on, caller_of, wait_until_in_lobby};

fn assert_refused_with_503(server: &Server) {
    let refused = Caller::call(server.sip, "127.0.0.1").wait_ended(SOON);
    assert!(matches!(refused, EndReason::Refused { status: 503, .. }), "{refused:?}");
}

#[test]
fn with_no_file_left_a_new_call_gets_503_and_the_others_go_on() {
    let server = Server::start("files", &[]);
    let organizer = server.enable("anna@example.com");
    let ben = caller_of(&server, "ben", &organizer);
    wait_until_in_lobby(&server, 1);
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    server.limit(&format!("--nofile={}:", open - 1));
    assert_refused_with_503(&server);
    let line = server.wait_for_line("no RTP socket", SOON);
    assert!(line.contains("Too many open files"), "{line}");
    assert_goes_on(&ben);
    server.limit("--nofile=1024:");
    let cara = caller_of(&server, "cara", &organizer);
    wait_until_in_lobby(&server, 2);
    assert_goes_on(&cara);
    assert_eq!(server.get("/healthz").0, 200, "HTTP is there again too");
}

#[test]
fn with_no_port_left_a_new_call_gets_503_and_the_others_go_on() {
    // All but one pair of these is another program's.
    const FIRST: u16 = 9_700;
    let taken: Vec<UdpSocket> = (FIRST..FIRST + 6).map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap()).collect();
    let server = Server::start("ports", &[&format!("rtp.ports={FIRST}-{}", FIRST + 7)]);
    let organizer = server.enable("anna@example.com");
    let ben = caller_of(&server, "ben", &organizer);
    wait_until_in_lobby(&server, 1);
    assert_refused_with_503(&server);
    let line = server.wait_for_line("no RTP socket", SOON);
    assert!(line.contains("another program may hold them"), "{line}");
    // Again and again is one alert, and one write.
    for _ in 0..5 {
        assert_refused_with_503(&server);
    }
    server.wait_for_metric("anteroom_alerts_open", 1.0, SOON);
    let listed = server.command(&["alert", "list", "--json"]);
    let alerts: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&alerts[0]["kind"], &alerts[0]["count"]), (&"ports-used-up".into(), &1.into()), "{alerts}");
    assert!(alerts[0]["text"].as_str().unwrap().contains("no RTP ports could be opened"), "{alerts}");
    let cleared = server.command(&["alert", "clear", &alerts[0]["key"].to_string()]);
    assert!(cleared.status.success(), "{}", String::from_utf8_lossy(&cleared.stderr));
    server.wait_for_metric("anteroom_alerts_open", 0.0, SOON);
    assert_goes_on(&ben);
    drop(taken);
    let cara = caller_of(&server, "cara", &organizer);
    wait_until_in_lobby(&server, 2);
    assert_goes_on(&cara);
}
