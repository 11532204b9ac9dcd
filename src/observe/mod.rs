//! What operators see of the facts that the engine tells: the log, one record a call, and metrics. Nothing here decides.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`story`] | the log: a span per call, one line per step, readable as the call's story |
//! | [`json_log`] | the log as JSON lines |
//! | [`record`] | one JSON line per call, once it is over |
//! | [`archive`] | call records on their way into the store |
//! | [`measures`] | counters, gauges and histograms for Prometheus |
//! | [`http`] | `/healthz` and `/metrics` |

pub mod archive;
pub mod http;
pub mod json_log;
pub mod measures;
pub mod record;
pub mod story;

use std::sync::Arc;

use crate::words::event::Event;
use archive::CallArchive;
use measures::Measures;
use record::{RecordTarget, RecordWriter};
use story::Story;

/// Takes every fact once and hands it to all who watch.
pub struct Observer {
    story: Story,
    records: Option<RecordWriter>,
    archive: Option<CallArchive>,
    measures: Arc<Measures>,
}

impl Observer {
    /// `records`: what gets one JSON line per call; `archive`: the way of the same into the store.
    ///
    /// # Errors
    /// The file can't be opened for appending.
    pub fn new(
        records: Option<RecordTarget>,
        archive: Option<CallArchive>,
        measures: Arc<Measures>,
    ) -> Result<Observer, record::RecordError> {
        let records = records.map(RecordWriter::open).transpose()?;
        Ok(Observer { story: Story::default(), records, archive, measures })
    }

    pub fn handle(&mut self, event: &Event) {
        self.story.tell(event);
        self.measures.count(event);
        let Event::CallEnded(record) = event else { return };
        if self.records.is_none() && self.archive.is_none() {
            return;
        }
        let line = record::line(record);
        if let Some(records) = &mut self.records {
            records.add(&line);
        }
        if let Some(archive) = &self.archive
            && !archive.push(record, line)
        {
            self.measures.count_lost_record();
        }
    }

    /// All that happened in one turn of the control task has been told.
    pub fn flush(&mut self) {
        if let Some(records) = &mut self.records {
            records.flush();
        }
    }
}
