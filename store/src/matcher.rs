//! Label matchers: `=`, `!=`, `=~`, `!~`, with Prometheus's meaning.
//!
//! A label that is absent has the empty value. Regular expressions are anchored at both ends, and a
//! dot matches a newline.

use std::fmt;

use regex_automata::meta::Regex;
use thiserror::Error;

#[derive(Debug, Error)]
#[error("invalid regular expression in matcher {name}=~{pattern:?}: {reason}")]
pub struct InvalidRegex {
    pub name: String,
    pub pattern: String,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

/// A pattern whose automaton would outgrow this is refused.
const REGEX_SIZE_LIMIT_BYTES: usize = 1 << 20;

impl Matcher {
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, InvalidRegex> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&value).map_err(|reason| {
                InvalidRegex { name: name.clone(), pattern: value.clone(), reason }
            })?),
        };
        Ok(Matcher { name, op, value, regex })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn op(&self) -> MatchOp {
        self.op
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value passes; an absent label has the empty value.
    pub fn matches(&self, value: &str) -> bool {
        let by_regex = || self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => by_regex(),
            MatchOp::NotRegex => !by_regex(),
        }
    }
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(REGEX_SIZE_LIMIT_BYTES)))
        .syntax(regex_automata::util::syntax::Config::new().dot_matches_new_line(true))
        .build(&format!("^(?:{pattern})$"))
        .map_err(|e| match e.syntax_error() {
            Some(syntax) => syntax.to_string(),
            None => e.to_string(),
        })
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(op: MatchOp, value: &str) -> Matcher {
        Matcher::new("a", op, value).expect("valid")
    }

    #[test]
    fn regexes_are_anchored() {
        let m = matcher(MatchOp::Regex, "ab|cd");
        assert!(m.matches("ab") && m.matches("cd"));
        assert!(!m.matches("xab") && !m.matches("cdx") && !m.matches(""));
        assert!(matcher(MatchOp::Regex, ".*").matches("two\nlines"));
        assert!(matcher(MatchOp::NotRegex, "ab").matches("abc"));
    }

    #[test]
    fn broken_regex_names_the_matcher() {
        let e = Matcher::new("svc", MatchOp::Regex, "(").expect_err("unclosed");
        assert!(e.to_string().starts_with("invalid regular expression in matcher svc=~\"(\""));
    }
}
