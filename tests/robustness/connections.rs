//! TCP connections that stall, lie, shout, pile up and break.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anteroom::wire::sip::framing::{Frame, Framing};

use super::caller::{Caller, SOON};
use super::raw::*;
use super::support::Server;
use super::torture;

/// By then a connection on which no message comes to its end is closed: 10 s are due, and the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

fn options_over_tcp(stream: &TcpStream, call_id: &str) -> String {
    request("OPTIONS", "TCP", stream.local_addr().unwrap(), stream.peer_addr().unwrap(), call_id, "")
}

/// How long the server keeps a connection on which `talk` says something once in a second.
fn closed_after(server: SocketAddr, source: &str, mut talk: impl FnMut(&mut TcpStream, u32)) -> Duration {
    let mut stream = connect(source, server);
    let began = Instant::now();
    for second in 0.. {
        talk(&mut stream, second);
        let (answer, closed) = read_until_closed(&mut stream, Duration::from_secs(1));
        assert!(answer.iter().all(|octet| b"\r\n".contains(octet)), "{}", String::from_utf8_lossy(&answer));
        if closed.is_some() {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{source} is still connected");
    }
    began.elapsed()
}

/// Each has its ten seconds, and no more; meanwhile others are served, and who is only quiet stays.
#[test]
fn who_never_finishes_a_message_is_closed_at_the_deadline() {
    let mut server = Server::start("tcp-slow", &["sip.listen=127.60.0.1:0", "log.level=info"]);
    let sip = server.sip;
    let lie = |length: usize| {
        let head = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKlie\r\n";
        format!(
            "{head}From: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: lie\r\nCSeq: 1 OPTIONS\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let whole = lie(0).into_bytes();
    std::thread::scope(|scope| {
        let half_open = scope.spawn(|| closed_after(sip, "127.60.0.2", |_, _| {}));
        let byte_a_second = scope.spawn(|| {
            closed_after(sip, "127.60.0.3", |stream, second| {
                write_some(stream, &whole[second as usize..][..1]);
            })
        });
        let no_line_end = scope.spawn(|| {
            closed_after(sip, "127.60.0.4", |stream, _| {
                write_some(stream, "OPTIONS sip:a");
            })
        });
        let promises_more = scope.spawn(|| {
            closed_after(sip, "127.60.0.5", |stream, second| {
                write_some(stream, if second == 0 { lie(5_000) } else { "x".repeat(10) });
            })
        });
        // Line ends alone are signs of life, but no message.
        let pings_only = scope.spawn(|| {
            closed_after(sip, "127.60.0.6", |stream, _| {
                write_some(stream, "\r\n");
            })
        });
        // RFC 4475 section 3.1.2.2.
        let clerr = torture::message("clerr");
        let torture = scope.spawn(move || {
            closed_after(sip, "127.60.0.8", |stream, second| {
                write_some(stream, if second == 0 { &clerr[..] } else { b"" });
            })
        });
        scope.spawn(|| keep_alives_keep_a_connection(sip));
        let meanwhile = scope.spawn(|| {
            let calls = (0..5).map(|_| {
                let caller = Caller::call(sip, "127.60.0.7");
                caller.wait_established();
                caller.wait_heard(10);
                caller.hang_up();
                caller.wait_ended(SOON);
                caller.invites_sent()
            });
            calls.filter(|sent| *sent == 1).count()
        });
        let rows = [half_open, byte_a_second, no_line_end, promises_more, pings_only, torture];
        for (row, after) in rows.into_iter().map(|row| row.join().unwrap()).enumerate() {
            assert!((Duration::from_secs(8)..DEADLINE).contains(&after), "number {row} was closed after {after:?}");
        }
        let at_once = meanwhile.join().unwrap();
        assert!(at_once >= 3, "only {at_once} of 5 calls were answered within 500 ms");
    });
    assert_holds_no_call(&server);
    assert_never_panicked(&mut server);
}

/// What can't become a message is not waited for.
#[test]
fn what_can_be_no_message_is_closed_at_once() {
    let mut server = Server::start("tcp-lies", &["sip.listen=127.61.0.1:0", "log.level=info"]);
    let head = |rest: &str| format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKx\r\n{rest}\r\n\r\n");
    let before = server.resident_kib();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("too long a body", head("Content-Length: 100000").into()),
        ("a length beyond every number", head("Content-Length: 99999999999999999999999").into()),
        ("a length of words", head("Content-Length: five").into()),
        ("no length", head("Max-Forwards: 70").into()),
        ("two lengths", head("Content-Length: 0\r\nl: 9").into()),
        ("a head without an end", format!("OPTIONS sip:a SIP/2.0\r\nX: {}", "x".repeat(70_000)).into()),
        ("lines without an end", "OPTIONS sip:a SIP/2.0\r\n".to_owned().into_bytes().repeat(4_000)),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()),
        ("zeros", vec![0; 100_000]),
    ];
    for (what, bytes) in cases {
        for _ in 0..10 {
            let mut stream = connect("127.61.0.2", server.sip);
            write_some(&mut stream, &bytes);
            let (answer, closed) = read_until_closed(&mut stream, Duration::from_secs(8));
            assert!(closed.is_some(), "{what}: still open");
            assert!(answer.is_empty(), "{what}: {}", String::from_utf8_lossy(&answer));
        }
    }
    // Content-Length says less than comes: what was before is a message, the rest is none.
    let mut stream = connect("127.61.0.3", server.sip);
    let question = options_over_tcp(&stream, &unique("less"));
    write_some(&mut stream, format!("{question}(the rest of a longer body"));
    let (answer, closed) = read_until_closed(&mut stream, Duration::from_secs(8));
    assert!(answer.is_empty() || status(&answer) == Some(200));
    assert!(closed.is_some());
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB");
    assert_takes_a_call(&server, "127.61.0.4");
    assert_never_panicked(&mut server);
}

/// 32 connections of one address, and not one more; others don't notice.
#[test]
fn connections_of_one_address_are_bounded() {
    let mut server = Server::start("tcp-many", &["sip.listen=127.62.0.1:0", "log.level=info"]);
    let mut streams: Vec<TcpStream> = (0..100).map(|_| connect("127.62.0.2", server.sip)).collect();
    // The first ones were accepted first.
    for (number, stream) in streams.iter_mut().enumerate() {
        if number < 32 {
            let question = options_over_tcp(stream, &unique("many"));
            stream.write_all(question.as_bytes()).unwrap();
            let mut answer = [0; 12];
            stream.set_read_timeout(Some(SOON)).unwrap();
            std::io::Read::read_exact(stream, &mut answer).unwrap();
            assert_eq!(&answer, b"SIP/2.0 200 ");
        } else {
            let (_, closed) = read_until_closed(stream, SOON);
            assert!(closed.is_some(), "connection {number} of one address");
        }
    }
    assert_eq!(server.metric("anteroom_sip_connections_refused_total"), 68.0);
    // Another address is welcome, over TCP and UDP, and so is this one once it has let go.
    let answers = |source: &str| {
        let mut stream = connect(source, server.sip);
        let question = options_over_tcp(&stream, &unique("other"));
        write_some(&mut stream, question)
            && status(&read_until_closed(&mut stream, Duration::from_millis(700)).0) == Some(200)
    };
    assert!(answers("127.62.0.3"));
    assert_takes_a_call(&server, "127.62.0.2");
    drop(streams);
    let deadline = Instant::now() + SOON;
    while !answers("127.62.0.2") {
        assert!(Instant::now() < deadline, "the places of closed connections are not free again");
    }
    assert_never_panicked(&mut server);
}

/// Who asks and never reads is closed, before his answers have filled the memory.
#[test]
fn who_does_not_read_is_closed() {
    let mut server = Server::start("tcp-deaf", &["sip.listen=127.63.0.1:0", "log.level=info"]);
    let before = server.resident_kib();
    let mut stream = connect("127.63.0.2", server.sip);
    // Long header lines come back in each answer.
    let via = format!("Via: SIP/2.0/TCP a;branch=z9hG4bK{}\r\nFrom", "x".repeat(3_000));
    let question = options_over_tcp(&stream, "deaf").replacen("From", &via, 1);
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let began = Instant::now();
    let mut number = 0;
    loop {
        // Another transaction each time.
        number += 1;
        let question = question.replacen("z9hG4bKdeaf", &format!("z9hG4bK{number}"), 1);
        if !write_some(&mut stream, question) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{number} questions, no answer read, still open");
    }
    // Either the connection is gone already, or the server has stopped reading and closes it at its next deadline.
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB after {number} questions");
    assert_takes_a_call(&server, "127.63.0.3");
    assert_never_panicked(&mut server);
}

/// A connection that breaks before the call is up takes the call with it; one that breaks later does not: the voice goes
/// another way. When that ends too, the call is over.
#[test]
fn a_connection_that_breaks_in_a_call() {
    let mut server = Server::start("tcp-breaks", &["sip.listen=127.64.0.1:0", "media.silence_s=2", "log.level=info"]);
    let rtp = Plug::new("127.64.0.2:0", server.sip);
    let call = |is_acknowledged: bool| {
        let mut stream = connect("127.64.0.2", server.sip);
        let local = stream.local_addr().unwrap();
        let call_id = unique("breaks");
        let message = request("INVITE", "TCP", local, server.sip, &call_id, &offer(rtp.address));
        assert!(write_some(&mut stream, message));
        let ok = final_answer(&mut stream);
        assert_eq!(ok.status, 200);
        if is_acknowledged {
            assert!(write_some(&mut stream, in_dialog(&ok, local, "ACK", 0).replace("SIP/2.0/UDP", "SIP/2.0/TCP")));
        }
    };

    call(false);
    assert_holds_no_call(&server);

    call(true);
    server.wait_for_line("the caller is on the line", SOON);
    assert!(rtp.receive(SOON).is_some(), "the voice goes on");
    server.wait_for_metric("anteroom_calls", 1.0, SOON);
    // He says nothing at all, and can't be told: given up after media.silence_s.
    server.wait_for_line("nothing was received from the caller for too long", SOON);
    server.wait_for_metric("anteroom_media_legs", 0.0, SOON);
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
    assert_takes_a_call(&server, "127.64.0.3");
    assert_never_panicked(&mut server);
}

/// Reads answers until one is final.
fn final_answer(stream: &mut TcpStream) -> anteroom::wire::sip::Response {
    let (mut framing, mut buffer) = (Framing::default(), Vec::new());
    let deadline = Instant::now() + SOON;
    loop {
        match framing.next(&buffer).unwrap() {
            Frame::Message(length) => {
                let message: Vec<u8> = buffer.drain(..length).collect();
                let answer = response(&message).unwrap();
                if answer.status >= 200 {
                    return answer;
                }
            }
            Frame::Incomplete => {
                assert!(Instant::now() < deadline);
                let (more, closed) = read_until_closed(stream, Duration::from_millis(100));
                assert!(closed.is_none());
                buffer.extend(more);
            }
            Frame::Skip(length) | Frame::Ping(length) => drop(buffer.drain(..length)),
        }
    }
}

/// RFC 5626 section 4.4.1: keep-alives keep a connection that has once brought a message, whichever pieces they come in.
fn keep_alives_keep_a_connection(server: SocketAddr) {
    let mut stream = connect("127.60.0.9", server);
    let question = options_over_tcp(&stream, &unique("first"));
    assert!(write_some(&mut stream, question));
    let (answer, _) = read_until_closed(&mut stream, Duration::from_millis(500));
    assert_eq!(status(&answer), Some(200));
    // A ping in two pieces, and its pong.
    assert!(write_some(&mut stream, "\r\n"));
    assert_eq!(read_until_closed(&mut stream, Duration::from_millis(500)), (vec![], None));
    assert!(write_some(&mut stream, "\r\n"));
    assert_eq!(read_until_closed(&mut stream, Duration::from_millis(500)), (b"\r\n".to_vec(), None));
    // A single line end, as some send instead: half a ping for as long as it takes.
    assert!(write_some(&mut stream, "\r\n"));
    assert_eq!(read_until_closed(&mut stream, Duration::from_secs(11)), (vec![], None));
    let question = options_over_tcp(&stream, &unique("last"));
    assert!(write_some(&mut stream, question));
    let (answer, _) = read_until_closed(&mut stream, Duration::from_secs(1));
    assert!(answer.windows(12).any(|window| window == b"SIP/2.0 200 "));
}
