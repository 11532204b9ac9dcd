//! Counters, gauges and histograms, in a recorder of its own: two servers in one process do not share figures.

use std::time::Instant;

use metrics::{Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::net::sip_sources::Excess;
use crate::sip::{Refusals, Shed};
use crate::words::event::{CallFact, Event, MeetingFact, Reached};
use crate::words::media::LegStatistics;

/// Upper bounds in seconds of the time from INVITE to 200.
const SETUP_SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// The figures of one server.
pub struct Measures {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

/// What other parts of the shell count by themselves, read when `/metrics` is asked for.
#[derive(Debug, Clone, Default)]
pub struct ShellCounts {
    pub calls: u64,
    pub waiting: u64,
    pub in_meeting: u64,
    pub meetings: u64,
    pub sip_transactions: u64,
    pub refusals: Refusals,
    pub sip_received_dropped: u64,
    pub sip_sent_dropped: u64,
    /// Of sources that sent more than they may: which bound, how many.
    pub sip_excess: [(&'static str, u64); Excess::ALL.len()],
    pub sip_connections_refused: u64,
    pub sip_connections_evicted: u64,
    pub media_ticks: u64,
    pub media_ticks_late: u64,
    pub media_ticks_skipped: u64,
    pub media_legs: u64,
    /// Calls for which no ports could be opened.
    pub legs_refused: u64,
}

impl Measures {
    /// # Errors
    /// The exporter does not take the buckets: a defect of ours.
    pub fn new() -> Result<Measures, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full("anteroom_call_setup_seconds".into()), SETUP_SECONDS)?
            .build_recorder();
        let handle = recorder.handle();
        let measures = Measures { recorder, handle };
        measures.describe();
        Ok(measures)
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self, counts: &ShellCounts) -> String {
        metrics::with_local_recorder(&self.recorder, || {
            gauge!("anteroom_calls").set(counts.calls as f64);
            gauge!("anteroom_callers_waiting").set(counts.waiting as f64);
            gauge!("anteroom_callers_in_meetings").set(counts.in_meeting as f64);
            gauge!("anteroom_meetings").set(counts.meetings as f64);
            gauge!("anteroom_sip_transactions").set(counts.sip_transactions as f64);
            gauge!("anteroom_media_legs").set(counts.media_legs as f64);
            counter!("anteroom_media_legs_refused_total").absolute(counts.legs_refused);
            counter!("anteroom_sip_messages_dropped_total", "way" => "received").absolute(counts.sip_received_dropped);
            counter!("anteroom_sip_messages_dropped_total", "way" => "sent").absolute(counts.sip_sent_dropped);
            for (why, count) in counts.sip_excess {
                counter!("anteroom_sip_excess_total", "why" => why).absolute(count);
            }
            for (status, count) in &counts.refusals.by_status {
                let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                counter!("anteroom_requests_refused_total", "status" => status).absolute(*count);
            }
            for why in Shed::ALL {
                let count = counts.refusals.shed.get(&why).copied().unwrap_or(0);
                counter!("anteroom_invites_shed_total", "why" => why.token()).absolute(count);
            }
            counter!("anteroom_sip_connections_refused_total").absolute(counts.sip_connections_refused);
            counter!("anteroom_sip_connections_evicted_total").absolute(counts.sip_connections_evicted);
            counter!("anteroom_media_ticks_total").absolute(counts.media_ticks);
            counter!("anteroom_media_ticks_late_total").absolute(counts.media_ticks_late);
            counter!("anteroom_media_ticks_skipped_total").absolute(counts.media_ticks_skipped);
        });
        self.handle.render()
    }

    /// Counts what the histograms were told. To be called now and then: each call's figure is kept until then, where nobody
    /// scrapes for ever.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub fn count(&self, event: &Event) {
        metrics::with_local_recorder(&self.recorder, || count(event));
    }

    /// The store was away for so long that the oldest call record had to go.
    pub fn count_lost_record(&self) {
        metrics::with_local_recorder(&self.recorder, || counter!("anteroom_call_records_lost_total").increment(1));
    }

    /// Alerts that nobody has cleared, as the store has them.
    pub fn set_open_alerts(&self, alerts: u64) {
        metrics::with_local_recorder(&self.recorder, || gauge!("anteroom_alerts_open").set(alerts as f64));
    }

    fn describe(&self) {
        metrics::with_local_recorder(&self.recorder, || {
            metrics::describe_gauge!("anteroom_calls", "Calls at the moment");
            metrics::describe_gauge!("anteroom_callers_waiting", "Callers in a lobby at the moment");
            metrics::describe_gauge!("anteroom_callers_in_meetings", "Callers in a meeting at the moment");
            metrics::describe_gauge!("anteroom_meetings", "Meetings with somebody in them or in their lobby");
            metrics::describe_counter!("anteroom_calls_total", "Calls that came in, by trunk");
            metrics::describe_counter!(
                "anteroom_calls_ended_total",
                "Calls that are over, by cause and by how far they came"
            );
            metrics::describe_counter!(
                "anteroom_requests_refused_total",
                "SIP requests that became no call, by status"
            );
            metrics::describe_counter!(
                "anteroom_invites_shed_total",
                "INVITEs of trunks answered with 503 for want of room, by what was wanting"
            );
            metrics::describe_counter!(
                "anteroom_sip_excess_total",
                "SIP messages dropped unread: their source sent more than it may, by the bound"
            );
            metrics::describe_counter!(
                "anteroom_sip_connections_evicted_total",
                "SIP TCP connections closed to make room: the longest silent first"
            );
            metrics::describe_counter!("anteroom_pins_wrong_total", "Wrong PINs");
            metrics::describe_counter!("anteroom_pin_tries_used_up_total", "Calls that got no further try of a PIN");
            metrics::describe_counter!("anteroom_conference_ids_unknown_total", "Conference IDs that lead nowhere");
            metrics::describe_counter!(
                "anteroom_store_unavailable_total",
                "Questions that the store did not answer in time"
            );
            metrics::describe_counter!("anteroom_meetings_started_total", "Meetings started");
            metrics::describe_histogram!("anteroom_call_setup_seconds", Unit::Seconds, "From INVITE to 200");
            metrics::describe_counter!("anteroom_rtp_packets_total", "RTP packets of ended calls, by fate");
            metrics::describe_counter!("anteroom_sip_messages_dropped_total", "SIP messages dropped at the sockets");
            metrics::describe_counter!(
                "anteroom_sip_connections_refused_total",
                "SIP TCP connections refused for a limit"
            );
            metrics::describe_counter!("anteroom_media_ticks_total", "Ticks of 20 ms of all media threads");
            metrics::describe_counter!("anteroom_media_ticks_late_total", "Ticks that began more than 5 ms late");
            metrics::describe_counter!("anteroom_media_ticks_skipped_total", "Ticks left out after a stall");
            metrics::describe_counter!(
                "anteroom_call_records_lost_total",
                "Call records that the store was away for too long to take"
            );
            metrics::describe_gauge!("anteroom_alerts_open", "Alerts that nobody has cleared, in the whole store");
            metrics::describe_gauge!("anteroom_media_legs", "Legs on the media threads");
            metrics::describe_counter!(
                "anteroom_media_legs_refused_total",
                "Calls without RTP ports, answered with 503"
            );
            metrics::describe_gauge!("anteroom_sip_transactions", "SIP transactions that are remembered");
        });
    }
}

fn count(event: &Event) {
    match event {
        Event::CallArrived { caller, .. } => {
            counter!("anteroom_calls_total", "trunk" => caller.trunk.to_string()).increment(1);
        }
        // Not all are told: they are counted where they are refused.
        Event::RequestRefused { .. } => {}
        Event::Call { fact, .. } => match fact {
            CallFact::PinWrong { .. } => counter!("anteroom_pins_wrong_total").increment(1),
            CallFact::PinTriesUsedUp => counter!("anteroom_pin_tries_used_up_total").increment(1),
            CallFact::ConferenceUnknown { .. } => counter!("anteroom_conference_ids_unknown_total").increment(1),
            CallFact::StoreUnavailable => counter!("anteroom_store_unavailable_total").increment(1),
            _ => {}
        },
        Event::Meeting { fact: MeetingFact::Started { .. }, .. } => {
            counter!("anteroom_meetings_started_total").increment(1);
        }
        Event::Meeting { .. } => {}
        Event::CallEnded(record) => {
            let reached = record.reached.token();
            counter!("anteroom_calls_ended_total", "cause" => record.end.token(), "reached" => reached).increment(1);
            if record.reached > Reached::Nothing {
                setup_time(record.arrived_at, record.answered_at);
                packets(&record.statistics);
            }
        }
    }
}

fn setup_time(arrived_at: Instant, answered_at: Option<Instant>) {
    if let Some(answered_at) = answered_at {
        let seconds = answered_at.saturating_duration_since(arrived_at).as_secs_f64();
        histogram!("anteroom_call_setup_seconds").record(seconds);
    }
}

fn packets(statistics: &LegStatistics) {
    let fates = [
        ("received", statistics.packets_received),
        ("sent", statistics.packets_sent),
        ("lost", statistics.packets_lost),
        ("late", statistics.packets_late),
        ("refused", statistics.packets_refused),
    ];
    for (fate, packets) in fates {
        counter!("anteroom_rtp_packets_total", "fate" => fate).increment(packets);
    }
}
