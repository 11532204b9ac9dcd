//! The running engine, for those who look on and act from outside: the console, the API, the shell's requests.
//!
//! ```text
//!   Live ──LiveRequest──▶ control task ──LiveCommand──▶ engine
//!    ▲ ▲                     │   │
//!    │ └──── LiveSnapshot ───┘   └── asks the media threads how their legs do, while somebody looks on
//!    └────── LiveEvent (broadcast)
//! ```
//!
//! Looking on costs nothing while nobody does: a snapshot is made when one is asked for, and events are made when
//! somebody listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use crate::admin::live::{LiveEvent, LiveSnapshot};
use crate::engine::{Engine, LiveCommand, LiveDone, LiveRefusal};
use crate::words::event::Event;
use crate::words::ids::{ConferenceId, ConferenceKey, MeetingKey};

/// Requests that wait for the control task, which takes them at once: more are people faster than a machine.
const REQUESTS: usize = 256;

/// Events that a slow listener may be behind; then he is told that he has missed some.
const EVENTS: usize = 1_024;

/// An engine that has not answered by then is stuck, or gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is said of levels and losses may be this old.
const SURVEY_EVERY: Duration = Duration::from_millis(250);

/// Media threads answer at their next tick, within 20 ms. One that is behind is not waited for.
const SURVEY_WITHIN: Duration = Duration::from_millis(100);

/// Why something live was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    #[error(transparent)]
    Refused(#[from] LiveRefusal),
    #[error("the server has ended, or is too busy to answer; look whether it was done")]
    NoAnswer,
}

/// What the control task is asked.
#[derive(Debug)]
pub enum LiveRequest {
    Command { by: String, command: LiveCommand, answer: oneshot::Sender<Result<LiveDone, LiveRefusal>> },
    Snapshot { answer: oneshot::Sender<Arc<LiveSnapshot>> },
    Hosted { answer: oneshot::Sender<Vec<HostedMeeting>> },
}

/// A meeting that this server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostedMeeting {
    pub conference: ConferenceKey,
    pub conference_id: ConferenceId,
    pub meeting: MeetingKey,
    pub waiting: usize,
}

impl HostedMeeting {
    pub fn all(engine: &Engine) -> Vec<HostedMeeting> {
        let hosted = engine.meetings().map(|of| HostedMeeting {
            conference: of.conference,
            conference_id: of.conference_id,
            meeting: of.key,
            waiting: of.waiting,
        });
        hosted.collect()
    }
}

/// The running engine, for everybody who may see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    requests: mpsc::Sender<LiveRequest>,
    events: broadcast::Sender<LiveEvent>,
}

impl Live {
    /// The handle, and the end of it that belongs to the control task.
    pub fn new() -> (Live, LiveDesk) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let (events, _) = broadcast::channel(EVENTS);
        (Live { requests, events: events.clone() }, LiveDesk::new(inbox, events))
    }

    /// Everything that goes on at this moment.
    ///
    /// # Errors
    /// The server has ended, or hangs.
    pub async fn snapshot(&self) -> Result<Arc<LiveSnapshot>, LiveError> {
        let (answer, answered) = oneshot::channel();
        self.ask(LiveRequest::Snapshot { answer }, answered).await
    }

    /// Which meetings this server has: far cheaper than all that goes on in them.
    ///
    /// # Errors
    /// The server has ended, or hangs.
    pub async fn hosted(&self) -> Result<Vec<HostedMeeting>, LiveError> {
        let (answer, answered) = oneshot::channel();
        self.ask(LiveRequest::Hosted { answer }, answered).await
    }

    /// Does it. `by`: who wants it, for the operator's log.
    ///
    /// # Errors
    /// It was refused, and why; or the server has ended, or hangs.
    pub async fn command(&self, by: &str, command: LiveCommand) -> Result<LiveDone, LiveError> {
        let (answer, answered) = oneshot::channel();
        Ok(self.ask(LiveRequest::Command { by: by.to_owned(), command, answer }, answered).await??)
    }

    /// What happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LiveEvent> {
        self.events.subscribe()
    }

    async fn ask<T>(&self, request: LiveRequest, answered: oneshot::Receiver<T>) -> Result<T, LiveError> {
        let asked = async {
            self.requests.send(request).await.ok()?;
            answered.await.ok()
        };
        timeout(ANSWER_WITHIN, asked).await.ok().flatten().ok_or(LiveError::NoAnswer)
    }
}

/// The control task's end.
#[derive(Debug)]
pub struct LiveDesk {
    requests: mpsc::Receiver<LiveRequest>,
    events: broadcast::Sender<LiveEvent>,
    /// Until something happens, and for [`SURVEY_EVERY`] at most.
    latest: Option<Arc<LiveSnapshot>>,
    waiting: Vec<oneshot::Sender<Arc<LiveSnapshot>>>,
    survey: Survey,
}

/// How the legs do: told by the media threads.
#[derive(Debug, Clone, Copy)]
enum Survey {
    Never,
    Asked { at: Instant, missing: usize },
    Told { at: Instant },
}

impl LiveDesk {
    fn new(requests: mpsc::Receiver<LiveRequest>, events: broadcast::Sender<LiveEvent>) -> LiveDesk {
        LiveDesk { requests, events, latest: None, waiting: Vec::new(), survey: Survey::Never }
    }

    /// The next request. Safe to cancel (`select!`). `None`: nobody can ask any more.
    pub async fn next(&mut self) -> Option<LiveRequest> {
        self.requests.recv().await
    }

    /// Somebody wants to see what goes on. `true`: the media threads are to be asked first.
    pub fn asked(&mut self, now: Instant, engine: &Engine, answer: oneshot::Sender<Arc<LiveSnapshot>>) -> bool {
        let fresh = matches!(self.survey, Survey::Told { at } if now.saturating_duration_since(at) < SURVEY_EVERY);
        self.waiting.push(answer);
        if fresh {
            self.answer(now, engine);
            return false;
        }
        !matches!(self.survey, Survey::Asked { .. })
    }

    /// So many media threads have been asked.
    pub fn survey_begins(&mut self, now: Instant, threads: usize) {
        self.survey = Survey::Asked { at: now, missing: threads };
    }

    /// One of them has answered, and the engine knows what.
    pub fn survey_came(&mut self, now: Instant, engine: &Engine) {
        if let Survey::Asked { missing, .. } = &mut self.survey {
            *missing = missing.saturating_sub(1);
            if *missing == 0 {
                self.survey_is_over(now, engine);
            }
        }
    }

    /// Time has passed: a media thread that is behind is not waited for.
    pub fn tick(&mut self, now: Instant, engine: &Engine) {
        if matches!(self.survey, Survey::Asked { at, .. } if now.saturating_duration_since(at) >= SURVEY_WITHIN) {
            self.survey_is_over(now, engine);
        }
    }

    /// Tells those who listen; and whatever was shown before is old now.
    pub fn tell(&mut self, event: &Event, engine: &Engine) {
        self.latest = None;
        if self.events.receiver_count() > 0
            && let Some(event) = LiveEvent::of(event, engine)
        {
            // Nobody listens any more: nobody misses it.
            let _ = self.events.send(event);
        }
    }

    fn survey_is_over(&mut self, now: Instant, engine: &Engine) {
        self.survey = Survey::Told { at: now };
        self.latest = None;
        self.answer(now, engine);
    }

    fn answer(&mut self, now: Instant, engine: &Engine) {
        if self.waiting.is_empty() {
            return;
        }
        let snapshot = self.latest.get_or_insert_with(|| Arc::new(LiveSnapshot::of(engine, now)));
        for answer in self.waiting.drain(..) {
            // Who asked may have gone away.
            let _ = answer.send(snapshot.clone());
        }
    }
}
