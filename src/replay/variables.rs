//! `${name}` in a fixture: values that come from the flags or the environment, so that no secret stands in a file.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroize;

/// The environment variables that hold values begin with this: `ANTEROOM_VAR_PIN` is `${pin}`.
pub const ENVIRONMENT_PREFIX: &str = "ANTEROOM_VAR_";

/// The shortest value that can be a secret: a PIN has four digits at least. What is shorter would be found in any number.
const HIDDEN_MIN: usize = 4;

/// The values by name. `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

/// A `${…}` that could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    #[error("${{{name}}} has no value: give --var {name}=… or set {ENVIRONMENT_PREFIX}{}", name.to_uppercase())]
    Missing { name: String },
    #[error("${{ without }}")]
    Unclosed,
    #[error("${{{name}:{change}}}: the only change is \"other\" (the same with another last digit)")]
    UnknownChange { name: String, change: String },
    #[error("${{{name}:other}} needs a value that ends with a digit")]
    NoDigit { name: String },
    #[error("{0:?} is no NAME=VALUE")]
    NotAnAssignment(String),
}

impl Variables {
    /// Everything in the environment that begins with [`ENVIRONMENT_PREFIX`]; names in lower case.
    pub fn from_environment(environment: impl IntoIterator<Item = (String, String)>) -> Variables {
        let values = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(ENVIRONMENT_PREFIX)?.to_lowercase(), value)))
            .collect();
        Variables { values }
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// One `NAME=VALUE` of the command line.
    pub fn assign(&mut self, assignment: &str) -> Result<(), VariableError> {
        match assignment.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                self.set(name, value);
                Ok(())
            }
            // Shown without what may be a secret after it.
            _ => Err(VariableError::NotAnAssignment(assignment.chars().take(1).chain("…".chars()).collect())),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Fills in every `${name}` and `${name:other}`. The latter is surely not the value itself: a PIN that is wrong
    /// whatever the PIN is.
    pub fn expand(&self, text: &str) -> Result<String, VariableError> {
        let mut expanded = String::with_capacity(text.len().saturating_add(16));
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (reference, behind) = after.split_once('}').ok_or(VariableError::Unclosed)?;
            expanded.push_str(before);
            expanded.push_str(&self.resolve(reference)?);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// A message with the names of the values in their place: a secret that stands where none belongs (`hears = "${pin}"`)
    /// is not told with the mistake.
    pub fn hide(&self, message: &str) -> String {
        let mut values: Vec<_> = self.values.iter().filter(|(_, value)| value.len() >= HIDDEN_MIN).collect();
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut hidden = message.to_owned();
        for (name, value) in values {
            hidden = hidden.replace(value.as_str(), &format!("${{{name}}}"));
            if let Some(other) = with_another_last_digit(value) {
                hidden = hidden.replace(&other, &format!("${{{name}:other}}"));
            }
        }
        hidden
    }

    fn resolve(&self, reference: &str) -> Result<String, VariableError> {
        let (name, change) = match reference.split_once(':') {
            Some((name, change)) => (name, Some(change)),
            None => (reference, None),
        };
        let value = self.get(name).ok_or_else(|| VariableError::Missing { name: name.to_owned() })?;
        match change {
            None => Ok(value.to_owned()),
            Some("other") => {
                with_another_last_digit(value).ok_or_else(|| VariableError::NoDigit { name: name.to_owned() })
            }
            Some(change) => Err(VariableError::UnknownChange { name: name.to_owned(), change: change.to_owned() }),
        }
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        self.values.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

fn with_another_last_digit(value: &str) -> Option<String> {
    let (last_at, last) = value.char_indices().next_back()?;
    let digit = last.to_digit(10)?;
    let other = char::from_digit((digit + 1) % 10, 10)?;
    let head = value.get(..last_at)?;
    Some(format!("{head}{other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let mut variables = Variables::default();
        variables.set("conference_id", "1234567");
        variables.set("pin", "80909");
        variables.set("word", "hello");
        variables
    }

    #[test]
    fn values_are_filled_in() {
        let variables = variables();
        assert_eq!(variables.expand("${conference_id}#").unwrap(), "1234567#");
        assert_eq!(variables.expand("*${pin}#${pin}").unwrap(), "*80909#80909");
        assert_eq!(variables.expand("${pin:other}").unwrap(), "80900");
        assert_eq!(variables.expand("no variable, $5, {x}").unwrap(), "no variable, $5, {x}");
    }

    #[test]
    fn what_is_missing_is_named_with_the_two_ways_to_give_it() {
        let error = variables().expand("${other_pin}").unwrap_err().to_string();
        assert!(error.contains("--var other_pin=") && error.contains("ANTEROOM_VAR_OTHER_PIN"), "{error}");
        assert_eq!(variables().expand("${pin"), Err(VariableError::Unclosed));
        assert!(matches!(variables().expand("${pin:wrong}"), Err(VariableError::UnknownChange { .. })));
        assert!(matches!(variables().expand("${word:other}"), Err(VariableError::NoDigit { .. })));
    }

    #[test]
    fn the_environment_and_the_flags_give_values() {
        let environment = [("ANTEROOM_VAR_PIN", "1"), ("ANTEROOM_SIP__LISTEN", "x"), ("HOME", "/")];
        let mut variables =
            Variables::from_environment(environment.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(variables.get("pin"), Some("1"));
        assert_eq!(format!("{variables:?}"), r#"{"pin"}"#);
        variables.assign("pin=2=3").unwrap();
        assert_eq!(variables.get("pin"), Some("2=3"));
        let error = variables.assign("80909").unwrap_err().to_string();
        assert!(!error.contains("80909"), "{error}");
    }
}
