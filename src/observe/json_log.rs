//! The log as JSON lines. `tracing-subscriber` has such a format too, which reads and writes anew, for each line of a call,
//! what is known of the call; here it is written as it stands.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// `{"timestamp": …, "level": …, "fields": {"message": …, …}, "spans": [{"name": "call", …}]}`, the outermost span first.
pub struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, r#"","level":"{}","fields":"#, event.metadata().level())?;
        context.format_fields(writer.by_ref(), event)?;
        let mut before = r#","spans":["#;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            write!(writer, r#"{before}{{"name":"{}""#, span.name())?;
            before = ",";
            if let Some(known) = span.extensions().get::<FormattedFields<JsonFields>>()
                && let Some(known) = known.fields.strip_prefix('{').filter(|known| *known != "}")
            {
                write!(writer, ",{known}")?;
            } else {
                writer.write_char('}')?;
            }
        }
        writer.write_str(if before == "," { "]}\n" } else { "}\n" })
    }
}

#[cfg(test)]
#[path = "../../tests/support/log.rs"]
mod log;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing::{field, info, info_span, subscriber, warn};

    use super::log::Log;
    use super::*;

    #[test]
    fn a_line_has_what_happened_and_all_that_it_happened_in() {
        let log = Log::default();
        let lines = tracing_subscriber::fmt().json().event_format(JsonLines).with_writer(log.clone());
        subscriber::with_default(lines.finish(), || {
            info!(count = 3, "a \"quoted\"\nline");
            let call = info_span!("call", from = "\"Anna\" <sip:a@b>", meeting = field::Empty);
            call.in_scope(|| info_span!("bare").in_scope(|| warn!(ok = true, "inside")));
            call.record("meeting", "meeting-1");
            call.in_scope(|| info!("later"));
        });
        let text = log.text();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let without_time = |line: &Value| {
            let mut line = line.clone();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().ends_with('Z'));
            line
        };
        let anna = "\"Anna\" <sip:a@b>";
        assert_eq!(
            lines.iter().map(without_time).collect::<Vec<_>>(),
            [
                json!({"level": "INFO", "fields": {"message": "a \"quoted\"\nline", "count": 3}}),
                json!({"level": "WARN", "fields": {"message": "inside", "ok": true},
                       "spans": [{"name": "call", "from": anna}, {"name": "bare"}]}),
                json!({"level": "INFO", "fields": {"message": "later"},
                       "spans": [{"name": "call", "from": anna, "meeting": "meeting-1"}]}),
            ]
        );
    }
}
