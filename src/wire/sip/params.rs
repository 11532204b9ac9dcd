//! `;name=value` lists, of header values and of URIs.

use std::fmt;

use bytes::Bytes;

use super::scan::{ValueError, cut, is_param_byte, piece, quoted_len, split, trim};

/// More parameters than any header has a use for (the longest of RFC 4475 has three).
const PARAMS_MAX: usize = 64;

/// One parameter. The value is as on the wire: escapes and quotes are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub name: Bytes,
    /// `None` for a name alone, as in `;lr`.
    pub value: Option<Bytes>,
}

/// Parameters in their order. Names are compared without case; of two with the same name the first counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<Param>);

impl Params {
    pub const fn new() -> Params {
        Params(Vec::new())
    }

    /// Whether it is there, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Its value; `None` where it is missing, and where it has no value.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.find(name)?.value.as_ref()
    }

    fn find(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|param| param.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Gives it this value, at its place or at the end. The caller sees to it that a value which is no token is quoted.
    pub fn set(&mut self, name: &str, value: Option<impl Into<Bytes>>) {
        let value = value.map(Into::into);
        match self.0.iter_mut().find(|param| param.name.eq_ignore_ascii_case(name.as_bytes())) {
            Some(param) => param.value = value,
            None => self.0.push(Param { name: Bytes::copy_from_slice(name.as_bytes()), value }),
        }
    }

    /// [`Params::set`], for building.
    pub fn with(mut self, name: &str, value: Option<impl Into<Bytes>>) -> Params {
        self.set(name, value);
        self
    }

    /// Takes out every parameter of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|param| !param.name.eq_ignore_ascii_case(name.as_bytes()));
    }

    /// Each parameter with the `;` before it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for param in &self.0 {
            out.push(b';');
            out.extend_from_slice(&param.name);
            if let Some(value) = &param.value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
    }

    /// Reads `a=b;c`, which is a slice of `whole`, without the first `;`. Empty parameters (`;;`) are passed over: some
    /// senders end every value with a `;`.
    pub(super) fn parse(whole: &Bytes, text: &[u8]) -> Result<Params, ValueError> {
        let mut params = Vec::new();
        for text in split(text, b';').map(trim).filter(|text| !text.is_empty()) {
            if params.len() >= PARAMS_MAX {
                return Err(ValueError("too many parameters"));
            }
            let (name, value) = match text.iter().position(|&byte| byte == b'=') {
                Some(at) => {
                    let (name, value) = cut(text, at);
                    (trim(name), Some(trim(value)))
                }
                None => (text, None),
            };
            let is_value = match value {
                Some([b'"', ..]) => value.is_some_and(|value| quoted_len(value) == Some(value.len())),
                Some(value) => value.iter().copied().all(is_param_byte),
                None => true,
            };
            if name.is_empty() || !name.iter().copied().all(is_param_byte) || !is_value {
                return Err(ValueError("malformed parameter"));
            }
            params.push(Param { name: piece(whole, name), value: value.map(|value| piece(whole, value)) });
        }
        Ok(Params(params))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Params, ValueError> {
        let whole = Bytes::copy_from_slice(text.as_bytes());
        Params::parse(&whole, &whole)
    }

    #[test]
    fn names_values_and_quotes() {
        let params = parse(r#"tag = 98as ; LR;x="a;b\"=c";y=;;tag=second;"#).unwrap();
        assert_eq!(params.get("TAG").unwrap(), "98as");
        assert!(params.has("lr") && params.get("lr").is_none());
        assert_eq!(params.get("x").unwrap(), r#""a;b\"=c""#);
        assert_eq!(params.get("y").unwrap(), "");
        assert!(!params.has("z"));
        assert_eq!(params.to_string(), r#";tag=98as;LR;x="a;b\"=c";y=;tag=second"#);
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in ["=x", "a b", "a=b c", "a=\"b", "a=\"b\"c", "a=<b>", "a=b,c", "a=x\u{7f}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"a;".repeat(PARAMS_MAX)).is_ok());
        assert!(parse(&"a;".repeat(PARAMS_MAX + 1)).is_err());
    }

    #[test]
    fn set_replaces_in_place_and_remove_takes_all() {
        let mut params = parse("a=1;b;a=2").unwrap();
        params.set("A", Some("3"));
        params.set("c", None::<Bytes>);
        assert_eq!(params.to_string(), ";a=3;b;a=2;c");
        params.remove("a");
        assert_eq!(params.to_string(), ";b;c");
    }
}
