//! A server of our own, as a fixture assumes it: its settings, its users with their credentials as variables, and a
//! credential store that answers when the fixture says. For the demonstration and the tests; everybody else gives `--to`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fixture::FixtureFile;
use super::fixture::server::{StoreAnswer, UserLobbyPolicy};
use super::variables::Variables;
use crate::config::{Config, ConfigError, Records};
use crate::credentials::{
    Actor, Answer, Clock, Enabled, Gate, Identity, NotAnIdentity, OpenError, Origin, Store, StoreError, UserChange,
    UserDetails,
};
use crate::server::{RunningServer, StartError};
use crate::words::answer::{ConferenceAnswer, LobbyPolicy, PinAnswer};
use crate::words::ids::{ConferenceId, ConferenceKey};
use crate::words::secret::Secret;

/// Why there is no such server.
#[derive(Debug, thiserror::Error)]
pub enum UnderTestError {
    /// The fixture's `[server.settings]`.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error("{0}: {1}")]
    Identity(String, NotAnIdentity),
    #[error("{0}: two users of the fixture have this identity")]
    TwiceTheSame(Identity),
    #[error(transparent)]
    OpenStore(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A server on free loopback ports (over IPv4, unless the fixture says where it listens), with a store in memory.
pub struct ServerUnderTest {
    server: RunningServer,
    /// `${conference_id}`, `${pin}` and so on.
    pub variables: Variables,
    /// Where to call it.
    pub to: String,
}

impl ServerUnderTest {
    /// The operating parts of `base` (RTP ports, media threads) hold; everything that a fixture can see is by default, or
    /// as the fixture has it. With `pin_digits` PINs are that long: no port number or time stamp in a log is 11 digits long,
    /// so that a test can look for them.
    pub async fn start(
        file: &FixtureFile,
        base: &Config,
        pin_digits: Option<u8>,
    ) -> Result<ServerUnderTest, UnderTestError> {
        let assumed = file.server();
        let mut config =
            Config::from_toml(&assumed.settings_toml(), Path::new(&format!("{} [server.settings]", file.name())))?;
        if config.sip.listen == Config::default().sip.listen {
            config.sip.listen = vec![([127, 0, 0, 1], 0).into()];
        }
        config.rtp.ports = base.rtp.ports.clone();
        config.media.threads = base.media.threads;
        config.http.listen = None;
        config.records.file = Records::Off;

        let store = Store::in_memory(Clock::system()).await?;
        let mut variables = Variables::default();
        let actor = Actor::new("fixture", "loopback");
        if let Some(digits) = pin_digits {
            store.set_setting(&actor, "pin_length", &digits.to_string()).await?;
        }
        for user in assumed.users() {
            let identity: Identity =
                user.identity.parse().map_err(|error| UnderTestError::Identity(user.identity.clone(), error))?;
            let enabled = store.enable_user(&actor, &identity, &UserDetails::default(), None).await?;
            let Enabled::New { user: made, pin } = enabled else {
                return Err(UnderTestError::TwiceTheSame(identity));
            };
            let change = UserChange {
                allow_anonymous_start: Some(user.allow_anonymous_start),
                lobby_policy: Some(match user.lobby_policy {
                    UserLobbyPolicy::Open => LobbyPolicy::Open,
                    UserLobbyPolicy::WaitForAdmission => LobbyPolicy::WaitForAdmission,
                }),
                ..UserChange::default()
            };
            store.change_user(&actor, &identity, &change).await?;
            if let Some(conference_id) = made.conference_id {
                variables.set(format!("{}conference_id", user.prefix), conference_id.as_str());
            }
            variables.set(format!("{}pin", user.prefix), pin.expose());
        }
        let gate = ScriptedGate { store, answers: assumed.store_answers().to_vec(), asked: AtomicUsize::new(0) };
        let server = crate::server::start(&config, Arc::new(gate), None).await?;
        let to = server.sip_addresses().first().map(|address| format!("sip:8000@{address}")).unwrap_or_default();
        Ok(ServerUnderTest { server, variables, to })
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// A store that answers its first questions as it is told, and then as it should.
struct ScriptedGate {
    store: Store,
    answers: Vec<StoreAnswer>,
    asked: AtomicUsize,
}

impl ScriptedGate {
    /// Waits or fails, as the next question's turn is.
    async fn take_turn(&self) -> Result<(), StoreError> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.answers.get(turn) {
            None | Some(StoreAnswer::AtOnce) => Ok(()),
            Some(StoreAnswer::After(span)) => {
                tokio::time::sleep(*span).await;
                Ok(())
            }
            Some(StoreAnswer::Away) => Err(StoreError::Unavailable("the fixture says so".to_owned())),
        }
    }
}

impl Gate for ScriptedGate {
    fn find_conference<'a>(&'a self, id: &'a ConferenceId, origin: &'a Origin) -> Answer<'a, ConferenceAnswer> {
        Box::pin(async move {
            self.take_turn().await?;
            self.store.find_conference(id, origin).await
        })
    }

    fn verify_pin<'a>(
        &'a self,
        conference: ConferenceKey,
        pin: &'a Secret,
        origin: &'a Origin,
    ) -> Answer<'a, PinAnswer> {
        Box::pin(async move {
            self.take_turn().await?;
            self.store.verify_pin(conference, pin, origin).await
        })
    }
}
