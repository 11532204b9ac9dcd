//! Request methods. Names are case-sensitive (RFC 3261 section 7.1).

use std::fmt;

use super::scan::is_token;

macro_rules! methods {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// What a request asks for.
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $text] $name,)+
            /// An extension method: a token that is none of the others.
            Other(Box<str>),
        }

        impl Method {
            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$name => $text,)+
                    Method::Other(name) => name,
                }
            }

            /// `None` where the bytes are not a token (RFC 3261 section 25.1).
            pub fn parse(name: &[u8]) -> Option<Method> {
                $(if name == $text.as_bytes() {
                    return Some(Method::$name);
                })+
                if !is_token(name) {
                    return None;
                }
                std::str::from_utf8(name).ok().map(|name| Method::Other(name.into()))
            }
        }
    };
}

methods! {
    Invite = "INVITE",
    Ack = "ACK",
    Bye = "BYE",
    Cancel = "CANCEL",
    Options = "OPTIONS",
    Register = "REGISTER",
    Info = "INFO",
    Update = "UPDATE",
    Prack = "PRACK",
    Subscribe = "SUBSCRIBE",
    Notify = "NOTIFY",
    Refer = "REFER",
    Message = "MESSAGE",
    Publish = "PUBLISH",
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
