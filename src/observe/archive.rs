//! Call records on their way into the store. A store that is slow or away delays no call: what it does not take waits here,
//! and when too many wait the oldest goes, counted. A lone call's record is kept at once; on a busy server the records of a
//! moment share a transaction.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::record;
use crate::credentials::{Store, StoreError, StoredCall, Timestamp};
use crate::words::event::CallRecord;

/// Records that wait for the store: an hour of a store that is away on a busy server, some 10 MB.
const WAITING_RECORDS: usize = 10_000;

/// Records in one transaction.
const AT_ONCE: usize = 500;

/// From one transaction to the next, so that many share one. A process that is killed loses the records of this moment;
/// the file of call records has them.
const REST: Duration = Duration::from_millis(200);

/// Until a store that refused is asked again; doubled each time, up to the second one.
const ASK_AGAIN: Duration = Duration::from_secs(1);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Waiting {
    records: Mutex<VecDeque<StoredCall>>,
    grown: Notify,
    /// No further ones come.
    closed: AtomicBool,
    closing: Notify,
}

impl Waiting {
    fn records(&self) -> MutexGuard<'_, VecDeque<StoredCall>> {
        self.records.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The observer's end. Dropping it lets the keeper end when all is kept.
pub struct CallArchive(Arc<Waiting>);

/// The store's end.
pub struct ArchiveKeeper(Arc<Waiting>);

impl CallArchive {
    pub fn new() -> (CallArchive, ArchiveKeeper) {
        let waiting = Arc::new(Waiting::default());
        (CallArchive(waiting.clone()), ArchiveKeeper(waiting))
    }

    /// Takes the call's record, and the same as a line of JSON. `false`: another record had to go for it.
    pub fn push(&self, call: &CallRecord, line: String) -> bool {
        let mut records = self.0.records();
        let has_room = records.len() < WAITING_RECORDS;
        if !has_room {
            records.pop_front();
        }
        records.push_back(stored(call, line));
        self.0.grown.notify_one();
        has_room
    }
}

impl Drop for CallArchive {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.grown.notify_one();
        self.0.closing.notify_one();
    }
}

impl ArchiveKeeper {
    /// Until no further records come and all are kept; or the store refuses the last ones.
    pub async fn run(self, store: Arc<Store>) {
        let mut pause = ASK_AGAIN;
        loop {
            let closed = self.0.closed.load(Ordering::Acquire);
            let batch: Vec<StoredCall> = {
                let mut records = self.0.records();
                let count = records.len().min(AT_ONCE);
                records.drain(..count).collect()
            };
            if batch.is_empty() {
                if closed {
                    return;
                }
                self.0.grown.notified().await;
                continue;
            }
            match store.add_call_records(&batch).await {
                Ok(()) => {
                    pause = ASK_AGAIN;
                    if !closed && batch.len() < AT_ONCE {
                        // Either way there is nothing to do but to go on.
                        let _ = timeout(REST, self.0.closing.notified()).await;
                    }
                }
                Err(error) => {
                    self.refused(&error, batch, pause == ASK_AGAIN);
                    if closed {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(ASK_AGAIN_MAX);
                }
            }
        }
    }

    /// Puts them back in front, as far as there is room.
    fn refused(&self, error: &StoreError, batch: Vec<StoredCall>, is_first: bool) {
        if is_first {
            tracing::warn!(%error, "call records wait for the store");
        }
        let mut records = self.0.records();
        let room = WAITING_RECORDS.saturating_sub(records.len());
        for record in batch.into_iter().rev().take(room) {
            records.push_front(record);
        }
    }
}

fn stored(call: &CallRecord, mut line: String) -> StoredCall {
    line.truncate(line.trim_end().len());
    StoredCall {
        ended_at: Timestamp(record::wall_clock(call.ended_at).as_millisecond()),
        caller: call.caller.number.clone(),
        conference_id: call.conference_id.map(|id| id.to_string()),
        organizer: call.organizer.clone(),
        cause: call.end.token().to_owned(),
        record: line,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::credentials::{CallRecordPage, Clock};
    use crate::words::event::{Caller, EndCause, Reached};
    use crate::words::ids::CallKey;
    use crate::words::media::LegStatistics;

    fn call(number: u64) -> CallRecord {
        CallRecord {
            call: CallKey(number),
            caller: Caller {
                number: format!("+49{number}"),
                called: "8000".into(),
                sip_call_id: "a@host".into(),
                trunk: "carrier".into(),
                source: "192.0.2.1:5060".parse().unwrap(),
            },
            arrived_at: Instant::now(),
            answered_at: None,
            ended_at: Instant::now(),
            reached: Reached::Lobby,
            conference_id: "1234567".parse().ok(),
            organizer: Some("anna@example.com".into()),
            meeting: None,
            leader: false,
            end: EndCause::CallerHungUp,
            statistics: LegStatistics::default(),
        }
    }

    fn push(archive: &CallArchive, number: u64) -> bool {
        let call = call(number);
        archive.push(&call, record::line(&call))
    }

    #[tokio::test]
    async fn all_that_was_told_is_kept_when_the_server_ends() {
        let store = Arc::new(Store::in_memory(Clock::system()).await.unwrap());
        let (archive, keeper) = CallArchive::new();
        for number in 0..1_200 {
            assert!(push(&archive, number));
        }
        drop(archive);
        keeper.run(store.clone()).await;
        let page = |search: &str| CallRecordPage { search: Some(search.to_owned()), before: None, limit: 5_000 };
        assert_eq!(store.call_records(&page("anna@example.com")).await.unwrap().len(), 1_200);
        let found = store.call_records(&page("+491199")).await.unwrap();
        let record: serde_json::Value = serde_json::from_str(&found[0].record).unwrap();
        assert_eq!((found.len(), &record["call"]), (1, &serde_json::json!("call-1199")));
        assert_eq!(store.call_records(&page("caller_hung_up")).await.unwrap().len(), 1_200);
    }

    #[test]
    fn when_too_many_wait_the_oldest_goes() {
        let (archive, keeper) = CallArchive::new();
        for number in 0..WAITING_RECORDS as u64 {
            assert!(push(&archive, number));
        }
        assert!(!push(&archive, 99_999));
        let records = keeper.0.records();
        assert_eq!(records.len(), WAITING_RECORDS);
        assert_eq!((&*records[0].caller, &*records[WAITING_RECORDS - 1].caller), ("+491", "+4999999"));
    }
}
