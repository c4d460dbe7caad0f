//! Series selectors: the parser's matchers, made ours.

use promql_parser::label::{MatchOp as ParsedOp, Matchers};
use promql_parser::parser::{Expr, VectorSelector};
use tributary_spanmetrics::METRIC_NAME;
use tributary_store::{MatchOp, Matcher};

use super::limits::Limits;
use super::tree::parse;
use crate::error::Error;

/// Parses a bare series selector, as `match[]` parameters hold.
pub fn parse_selector(text: &str, limits: &Limits) -> Result<Vec<Matcher>, Error> {
    match parse(text, limits)? {
        Expr::VectorSelector(selector @ VectorSelector { offset: None, at: None, .. }) => {
            matchers(&selector)
        }
        _ => Err(Error::Parse("expected a series selector without modifiers".into())),
    }
}

pub(crate) fn matchers(selector: &VectorSelector) -> Result<Vec<Matcher>, Error> {
    let Matchers { matchers, or_matchers } = &selector.matchers;
    if !or_matchers.is_empty() {
        return Err(Error::Unsupported("\"or\" between label matchers".into()));
    }
    let name = selector.name.as_ref().map(|name| (METRIC_NAME, MatchOp::Equal, name));
    let others = matchers.iter().map(|m| (m.name.as_str(), op(&m.op), &m.value));
    name.into_iter()
        .chain(others)
        .map(|(name, op, value)| Ok(Matcher::new(name, op, value)?))
        .collect()
}

fn op(parsed: &ParsedOp) -> MatchOp {
    match parsed {
        ParsedOp::Equal => MatchOp::Equal,
        ParsedOp::NotEqual => MatchOp::NotEqual,
        ParsedOp::Re(_) => MatchOp::Regex,
        ParsedOp::NotRe(_) => MatchOp::NotRegex,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        match parse_selector(text, &Limits::default()) {
            Ok(matchers) => matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Err(e) => format!("error: {e}"),
        }
    }

    #[test]
    fn selectors_of_every_form_are_read() {
        assert_eq!(parsed(r#"{a="b"}"#), r#"a="b""#);
        assert_eq!(parsed("up"), r#"__name__="up""#);
        assert_eq!(
            parsed(r#"up{a!="b",c=~"d|e",f!~'g'}"#),
            r#"__name__="up",a!="b",c=~"d|e",f!~"g""#
        );
        assert_eq!(parsed(r#"{"a name", "a.b"="c"}"#), r#"__name__="a name",a.b="c""#);
        assert_eq!(parsed(r"{a=~`\d+`}"), r#"a=~"\\d+""#);
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["up[5m]", "up offset 5m", "up @ 3", "sum(up)", "1", "", "{}", r#"{a=~".*"}"#] {
            assert!(parsed(text).starts_with("error: parse error"), "{text}: {}", parsed(text));
        }
        assert!(parsed(r#"{a="1" or b="2"}"#).contains("\"or\" between label matchers"));
    }
}
