//! Where the callers call: `--to sip:8000@192.0.2.1:5060;transport=tcp`.

use std::net::{SocketAddr, ToSocketAddrs};

const SIP_PORT: u16 = 5060;

/// A number at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The user part; empty where there is none.
    user: String,
    /// Host and port as they were written.
    host: String,
    pub address: SocketAddr,
    pub tcp: bool,
}

/// The text is no target that can be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("{0:?} is nothing to call: write sip:NUMBER@HOST:PORT (the number and the port may be left out)")]
    Syntax(String),
    #[error("{host}: {why}")]
    Unknown { host: String, why: String },
}

impl Target {
    /// Reads the URI and looks up its host.
    pub fn resolve(text: &str) -> Result<Target, TargetError> {
        let wrong = || TargetError::Syntax(text.to_owned());
        let rest = text.strip_prefix("sip:").ok_or_else(wrong)?;
        let (rest, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
        let is_plain =
            |part: &str| !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>@\"".contains(c));
        if host.is_empty() || !is_plain(host) || !is_plain(user) {
            return Err(wrong());
        }
        let tcp = match parameters {
            "" | "transport=udp" => false,
            "transport=tcp" => true,
            _ => return Err(wrong()),
        };
        // A bare host (also [IPv6]) gets the port; what has one resolves as it is.
        let has_port = host.rsplit_once(':').is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']'));
        let with_port = if has_port { host.to_owned() } else { format!("{host}:{SIP_PORT}") };
        let unknown = |why: String| TargetError::Unknown { host: host.to_owned(), why };
        let address = with_port
            .to_socket_addrs()
            .map_err(|error| unknown(error.to_string()))?
            .next()
            .ok_or_else(|| unknown("no address".to_owned()))?;
        Ok(Target { user: user.to_owned(), host: host.to_owned(), address, tcp })
    }

    /// The Request-URI for a caller of this target: it, or another number there, or another URI altogether.
    pub fn uri(&self, number: Option<&str>) -> String {
        match number {
            Some(uri) if uri.contains(':') => uri.to_owned(),
            Some(user) => format!("sip:{user}@{}", self.host),
            None if self.user.is_empty() => format!("sip:{}", self.host),
            None => format!("sip:{}@{}", self.user, self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_hosts_and_ports_are_read() {
        for (text, address, uri, tcp) in [
            ("sip:8000@127.0.0.1:5070", "127.0.0.1:5070", "sip:8000@127.0.0.1:5070", false),
            ("sip:127.0.0.1", "127.0.0.1:5060", "sip:127.0.0.1", false),
            ("sip:+49@[::1]:6000;transport=tcp", "[::1]:6000", "sip:+49@[::1]:6000", true),
            ("sip:[::1]", "[::1]:5060", "sip:[::1]", false),
        ] {
            let target = Target::resolve(text).unwrap();
            assert_eq!((target.address, target.uri(None), target.tcp), (address.parse().unwrap(), uri.into(), tcp));
        }
        let target = Target::resolve("sip:8000@127.0.0.1:5070").unwrap();
        assert_eq!(target.uri(Some("8001")), "sip:8001@127.0.0.1:5070");
        assert_eq!(target.uri(Some("tel:+4930")), "tel:+4930");
    }

    #[test]
    fn what_can_not_be_called_is_refused() {
        for text in
            ["8000@127.0.0.1", "sip:", "sip:a b@127.0.0.1", "sip:1@127.0.0.1;transport=sctp", "sip:1@127.0.0.1:x"]
        {
            assert!(Target::resolve(text).is_err(), "{text}");
        }
    }
}
