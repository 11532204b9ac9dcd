//! The call record: one JSON line per call, written by a thread of its own so that a slow disk never delays a call. The
//! thread is woken once for all calls that end in one turn of the control task.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::words::event::{CallRecord, EndCause};

/// Turns whose records wait for the disk, each of some calls: 20 MB at most. What comes above it is logged as lost.
const WAITING_TURNS: usize = 1_024;

/// The file of call records can't be used.
#[derive(Debug, thiserror::Error)]
#[error("records.file: {path} can't be opened for appending: {source}", path = path.display())]
pub struct RecordError {
    path: PathBuf,
    source: std::io::Error,
}

/// Where call records go.
#[derive(Debug, Clone)]
pub enum RecordTarget {
    StandardOutput,
    File(PathBuf),
}

/// Appends lines to the file of call records until it is dropped.
pub struct RecordWriter {
    /// Of this turn.
    lines: String,
    waiting: SyncSender<String>,
}

impl RecordWriter {
    pub fn open(target: RecordTarget) -> Result<RecordWriter, RecordError> {
        let (path, mut output): (PathBuf, Box<dyn Write + Send>) = match target {
            RecordTarget::StandardOutput => ("-".into(), Box::new(std::io::stdout())),
            RecordTarget::File(path) => match OpenOptions::new().create(true).append(true).open(&path) {
                Ok(file) => (path, Box::new(file)),
                Err(source) => return Err(RecordError { path, source }),
            },
        };
        let (waiting, turns) = sync_channel::<String>(WAITING_TURNS);
        let spawned = std::thread::Builder::new().name("records".into()).spawn(move || {
            for lines in turns {
                append(output.as_mut(), &lines);
            }
        });
        match spawned {
            Ok(_) => Ok(RecordWriter { lines: String::new(), waiting }),
            Err(source) => Err(RecordError { path, source }),
        }
    }

    /// One more line of this turn.
    pub fn add(&mut self, line: &str) {
        self.lines.push_str(line);
    }

    /// The turn is over: its lines go to the file.
    pub fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        match self.waiting.try_send(std::mem::take(&mut self.lines)) {
            Ok(()) => {}
            Err(TrySendError::Full(lines) | TrySendError::Disconnected(lines)) => {
                for record in lines.lines() {
                    tracing::error!(record, "the call record could not be queued for its file");
                }
            }
        }
    }
}

fn append(output: &mut dyn Write, lines: &str) {
    // A full disk must cost neither the calls nor the records: the log has them then.
    if let Err(error) = output.write_all(lines.as_bytes()).and_then(|()| output.flush()) {
        for record in lines.lines() {
            tracing::error!(%error, record, "the call record could not be written to its file");
        }
    }
}

/// When `at` was, by the wall clock of now: a clock that was set meanwhile moves all records alike.
pub(super) fn wall_clock(at: Instant) -> Timestamp {
    let ago = at.elapsed();
    Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// One record as a line of JSON, with its newline.
pub fn line(record: &CallRecord) -> String {
    let stamp = |at| format!("{:.3}", wall_clock(at));
    let answered = record.answered_at;
    let statistics = &record.statistics;
    let line = Line {
        call: record.call.to_string(),
        began_at: stamp(record.arrived_at),
        answered_at: answered.map(stamp),
        ended_at: stamp(record.ended_at),
        talked_s: answered.map_or(0.0, |at| rounded(record.ended_at.saturating_duration_since(at).as_secs_f64())),
        from: &record.caller.number,
        to: &record.caller.called,
        trunk: &record.caller.trunk,
        source: record.caller.source.to_string(),
        sip_call_id: &record.caller.sip_call_id,
        reached: record.reached.token(),
        conference_id: record.conference_id.map(|id| id.to_string()),
        organizer: record.organizer.as_deref(),
        meeting: record.meeting.map(|meeting| meeting.to_string()),
        leader: record.leader,
        ended: record.end.token(),
        why: super::story::end_words(&record.end),
        status: match &record.end {
            EndCause::Refused { status, .. } => Some(*status),
            _ => None,
        },
        codec: statistics.codec.map(|codec| codec.name()),
        packets_received: statistics.packets_received,
        packets_sent: statistics.packets_sent,
        packets_lost: statistics.packets_lost,
        packets_late: statistics.packets_late,
        packets_refused: statistics.packets_refused,
        jitter_ms: rounded(f64::from(statistics.jitter_ms)),
        jitter_ms_max: rounded(f64::from(statistics.jitter_ms_max)),
        delay_ms_max: statistics.delay_ms_max,
        reported_lost: statistics.reported_lost,
    };
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[derive(Serialize)]
struct Line<'a> {
    call: String,
    began_at: String,
    answered_at: Option<String>,
    ended_at: String,
    talked_s: f64,
    from: &'a str,
    to: &'a str,
    trunk: &'a str,
    source: String,
    sip_call_id: &'a str,
    reached: &'static str,
    conference_id: Option<String>,
    organizer: Option<&'a str>,
    meeting: Option<String>,
    leader: bool,
    ended: &'static str,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    codec: Option<&'static str>,
    packets_received: u64,
    packets_sent: u64,
    packets_lost: u64,
    packets_late: u64,
    packets_refused: u64,
    jitter_ms: f64,
    jitter_ms_max: f64,
    delay_ms_max: u32,
    reported_lost: Option<i32>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::words::event::{Caller, Reached};
    use crate::words::ids::CallKey;
    use crate::words::media::LegStatistics;

    #[test]
    fn a_record_is_one_line_of_json_that_says_when_who_where_and_why() {
        let arrived_at = Instant::now();
        let record = CallRecord {
            call: CallKey(7),
            caller: Caller {
                number: "+4930123".into(),
                called: "8000".into(),
                sip_call_id: "a\"b@host".into(),
                trunk: "carrier".into(),
                source: "192.0.2.1:5060".parse().unwrap(),
            },
            arrived_at,
            answered_at: Some(arrived_at + Duration::from_millis(4)),
            ended_at: arrived_at + Duration::from_millis(61_504),
            reached: Reached::Lobby,
            conference_id: "1234567".parse().ok(),
            organizer: Some("anna@example.com".into()),
            meeting: None,
            leader: false,
            end: EndCause::CallerHungUp,
            statistics: LegStatistics { packets_lost: 3, jitter_ms: 1.25, ..LegStatistics::default() },
        };
        let text = line(&record);
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["talked_s"], 61.5);
        assert_eq!(json["reached"], "lobby");
        assert_eq!(json["ended"], "caller_hung_up");
        assert_eq!(json["packets_lost"], 3);
        assert!(json["began_at"].as_str().unwrap().ends_with('Z'));
    }
}
