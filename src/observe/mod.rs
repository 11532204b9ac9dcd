//! What operators see of the facts that the engine tells: the log, one record a call, and metrics. Nothing here decides.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`story`] | the log: a span per call, one line per step, readable as the call's story |
//! | [`record`] | one JSON line per call, once it is over |
//! | [`measures`] | counters, gauges and histograms for Prometheus |
//! | [`http`] | `/healthz` and `/metrics` |

pub mod http;
pub mod measures;
pub mod record;
pub mod story;

use std::sync::Arc;

use crate::words::event::Event;
use measures::Measures;
use record::{RecordTarget, RecordWriter};
use story::Story;

/// Takes every fact once and hands it to all who watch.
pub struct Observer {
    story: Story,
    records: Option<RecordWriter>,
    measures: Arc<Measures>,
}

impl Observer {
    /// `records`: what gets one JSON line per call.
    ///
    /// # Errors
    /// The file can't be opened for appending.
    pub fn new(records: Option<RecordTarget>, measures: Arc<Measures>) -> Result<Observer, record::RecordError> {
        Ok(Observer { story: Story::default(), records: records.map(RecordWriter::open).transpose()?, measures })
    }

    pub fn handle(&mut self, event: &Event) {
        self.story.tell(event);
        self.measures.count(event);
        if let (Event::CallEnded(record), Some(records)) = (event, &self.records) {
            records.write(record);
        }
    }
}
