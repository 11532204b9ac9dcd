//! The organizer of a first start: who runs the server to see what it is can call in at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::contract::{Actor, Enabled, Identity, StoreError, UserDetails};
use super::store::Store;
use crate::words::ids::ConferenceId;
use crate::words::secret::Secret;

/// RFC 2606: a name that is nobody's.
const EXAMPLE_IDENTITY: &str = "organizer@example.com";

/// What a first start prints. The PIN is shown here and never again.
#[derive(Debug)]
pub struct FirstStart {
    pub identity: Identity,
    pub conference_id: ConferenceId,
    pub pin: Secret,
}

impl FirstStart {
    /// What to tell the person at the terminal; never for a log, for the PIN is in it.
    pub fn greeting(&self, sip_addresses: &[SocketAddr]) -> String {
        let FirstStart { identity, conference_id, pin } = self;
        let address = sip_addresses.first().map_or_else(String::new, |address| format!("@{}", reachable(*address)));
        format!(
            "\n\
             No configuration file and an empty store: one organizer is enabled, so that you can call in.\n\
             \n    \
             call           sip:8000{address}   (from this machine or a private network, with any softphone)\n    \
             conference ID  {}\n    \
             PIN            {}   (shown this once; {identity} is the organizer)\n\
             \n\
             Enter the conference ID and you wait in the lobby. Call again, press * when asked, enter the PIN: the\n\
             meeting starts. Then enable people of your own: anteroom user enable you@your.domain\n\n",
            conference_id.spaced(),
            pin.expose(),
        )
    }
}

/// An address that listens everywhere is reached, from here, by the loopback one.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(loopback, address.port())
}

/// Enables one example organizer in a store that never had a user. `None`: it had, and is left alone. To be called only
/// where there is no configuration file.
pub async fn first_start_example(store: &Store) -> Result<Option<FirstStart>, StoreError> {
    if store.has_users().await? {
        return Ok(None);
    }
    let Ok(identity) = EXAMPLE_IDENTITY.parse::<Identity>() else {
        return Ok(None);
    };
    let actor = Actor::new("anteroom", "first start");
    let details = UserDetails { name: "Example Organizer".to_owned(), email: None };
    match store.enable_user(&actor, &identity, &details, None).await? {
        Enabled::New { user, pin } => {
            Ok(user.conference_id.map(|conference_id| FirstStart { identity, conference_id, pin }))
        }
        Enabled::Already { .. } => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::contract::Clock;

    #[tokio::test]
    async fn a_store_gets_its_example_once() {
        let store = Store::in_memory(Clock::system()).await.unwrap();
        let first = first_start_example(&store).await.unwrap().unwrap();
        let greeting = first.greeting(&["0.0.0.0:5060".parse().unwrap()]);
        for part in ["sip:8000@127.0.0.1:5060", &first.conference_id.spaced(), first.pin.expose(), EXAMPLE_IDENTITY] {
            assert!(greeting.contains(part), "{part} in {greeting}");
        }
        assert!(first_start_example(&store).await.unwrap().is_none());
        let actor = Actor::new("anna", "test");
        store.disable_user(&actor, &first.identity, None).await.unwrap();
        assert!(first_start_example(&store).await.unwrap().is_none(), "who was disabled does not come back by himself");
    }
}
