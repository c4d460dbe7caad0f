//! The check of a query's text that comes before the parser.
//!
//! It reads tokens as the parser's lexer does, strings and comments included, and counts. It does
//! not judge grammar: what it lets through may still be nonsense, but nonsense of a bearable size.
//!
//! It hands on the text with one thing changed: strings in backquotes become strings in double
//! quotes. In PromQL a backslash in backquotes is itself; the parser takes it for an escape.

use promql_parser::util::unquote_string;
use tributary_store::{MatchOp, Matcher};

use super::limits::Limits;
use crate::error::Error;

/// Three hundred years, in seconds: far more than any range, far less than overflows.
const MAX_DURATION_SECONDS: f64 = 1e10;

pub(super) fn check(query: &str, limits: &Limits) -> Result<String, Error> {
    at_most("bytes", query.len(), limits.bytes)?;
    let mut guard = Guard {
        text: query,
        at: 0,
        out: String::with_capacity(query.len()),
        limits,
        open: Vec::new(),
        operators: 0,
        regexes: 0,
        in_duration: false,
        after_regex_operator: false,
        word: "",
    };
    while guard.at < query.len() {
        guard.token()?;
    }
    Ok(guard.out)
}

struct Guard<'a> {
    text: &'a str,
    at: usize,
    out: String,
    limits: &'a Limits,
    /// The brackets that are open.
    open: Vec<u8>,
    operators: usize,
    regexes: usize,
    /// The next number is a duration.
    in_duration: bool,
    /// The next string is a regular expression.
    after_regex_operator: bool,
    /// The latest word: before a regular expression, its label.
    word: &'a str,
}

impl<'a> Guard<'a> {
    fn token(&mut self) -> Result<(), Error> {
        let rest = &self.text[self.at..];
        let byte = rest.as_bytes()[0];
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => self.copy(1),
            b'#' => self.copy(rest.find(['\r', '\n']).unwrap_or(rest.len())),
            b'"' | b'\'' | b'`' => return self.string(byte),
            b'0'..=b'9' | b'.' => return self.number(),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => return self.word(),
            b'(' | b'[' | b'{' => {
                self.open.push(byte);
                at_most("nesting", self.open.len(), self.limits.nesting)?;
                self.in_duration = byte == b'[';
                self.copy(1);
            }
            b')' | b']' | b'}' => {
                self.open.pop();
                self.in_duration = false;
                self.copy(1);
            }
            b'+' | b'-' => {
                self.operator()?;
                self.copy(1);
            }
            b'*' | b'/' | b'%' | b'^' | b'@' => {
                self.operator()?;
                self.in_duration = false;
                self.copy(1);
            }
            b'=' | b'!' | b'<' | b'>' => self.comparison()?,
            _ => self.copy(rest.chars().next().map_or(1, char::len_utf8)),
        }
        Ok(())
    }

    /// In braces these are label matchers, which cost the parser nothing unless they are regular.
    fn comparison(&mut self) -> Result<(), Error> {
        let next = self.text.as_bytes().get(self.at + 1);
        self.after_regex_operator = next == Some(&b'~');
        if self.after_regex_operator {
            self.regexes += 1;
            at_most("regular expressions", self.regexes, self.limits.regexes)?;
        } else if self.open.last() != Some(&b'{') {
            self.operator()?;
        }
        self.in_duration = false;
        let two = matches!(next, Some(b'=' | b'~'));
        self.copy(if two { 2 } else { 1 });
        Ok(())
    }

    fn string(&mut self, quote: u8) -> Result<(), Error> {
        let rest = &self.text[self.at..];
        let raw = quote == b'`';
        let mut end = 1;
        loop {
            match rest.as_bytes().get(end) {
                None => return Err(Error::Parse("unterminated quoted string".into())),
                Some(&b) if b == quote => break,
                // The parser's own unquoting would cut a longer character in two.
                Some(b'\\') if !raw && !rest.is_char_boundary(end + 2) => {
                    return Err(Error::Parse("unknown escape sequence".into()));
                }
                Some(b'\\') if !raw => end += 2,
                Some(_) => end += 1,
            }
        }
        // The closing quote is one byte, so the string ends at a character's border.
        let token = &rest[..=end];
        if std::mem::take(&mut self.after_regex_operator) {
            check_regex(self.word, token)?;
        }
        if raw {
            self.out.push_str(&double_quoted(&token[1..end]));
        } else {
            self.out.push_str(token);
        }
        self.at += end + 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Error> {
        let bytes = &self.text.as_bytes()[self.at..];
        let hexadecimal = bytes.len() > 1 && matches!(bytes[1], b'x' | b'X');
        let mut len = 1;
        while let Some(&byte) = bytes.get(len) {
            let exponent = !hexadecimal && matches!(bytes[len - 1], b'e' | b'E');
            let sign = exponent && matches!(byte, b'+' | b'-');
            if !(byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || sign) {
                break;
            }
            len += 1;
        }
        let token = &self.text[self.at..self.at + len];
        if std::mem::take(&mut self.in_duration) {
            check_duration(token)?;
        }
        self.copy(len);
        Ok(())
    }

    fn word(&mut self) -> Result<(), Error> {
        let rest: &'a str = &self.text[self.at..];
        let in_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b':';
        let len = rest.bytes().take_while(|b| in_word(b)).count();
        self.word = &rest[..len];
        let word = self.word.to_ascii_lowercase();
        let in_duration = std::mem::take(&mut self.in_duration);
        match word.as_str() {
            "and" | "or" | "unless" | "atan2" => self.operator()?,
            "offset" => {
                self.operator()?;
                self.in_duration = true;
            }
            "inf" | "nan" if in_duration => return Err(Error::Duration(word)),
            _ => {}
        }
        self.copy(len);
        Ok(())
    }

    fn operator(&mut self) -> Result<(), Error> {
        self.operators += 1;
        at_most("operators", self.operators, self.limits.operators)
    }

    fn copy(&mut self, len: usize) {
        self.out.push_str(&self.text[self.at..self.at + len]);
        self.at += len;
        if self.open.last() == Some(&b'[') && self.out.ends_with(':') {
            self.in_duration = true;
        }
    }
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooComplex { what, found, limit }) } else { Ok(()) }
}

/// Compiles a pattern within our own bounds, so that the parser, whose bounds are ten times as wide,
/// meets only patterns that are known to be small.
fn check_regex(label: &str, token: &str) -> Result<(), Error> {
    let pattern = match token.as_bytes()[0] {
        b'`' => token[1..token.len() - 1].to_owned(),
        _ => unquote_string(token).map_err(Error::Parse)?,
    };
    Matcher::new(label, MatchOp::Regex, pattern)?;
    Ok(())
}

/// The parser panics on plain numbers that a duration cannot hold, and silently takes a part such as
/// `5000000000ms` that overflows 32 bits for nothing.
fn check_duration(token: &str) -> Result<(), Error> {
    let lower = token.to_ascii_lowercase();
    let plain = match lower.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|seconds| seconds as f64),
        None => lower.parse::<f64>().ok(),
    };
    let fits = match plain {
        Some(seconds) => (0.0..=MAX_DURATION_SECONDS).contains(&seconds),
        None => token
            .split(|c: char| !c.is_ascii_digit())
            .all(|digits| digits.is_empty() || digits.parse::<u32>().is_ok()),
    };
    if fits { Ok(()) } else { Err(Error::Duration(token.into())) }
}

fn double_quoted(raw: &str) -> String {
    let mut quoted = String::with_capacity(raw.len() + 2);
    quoted.push('"');
    for c in raw.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            // Carriage returns are dropped from raw strings, as in Go.
            '\r' => {}
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { bytes: 200, nesting: 2, operators: 3, regexes: 1 }
    }

    fn passes(query: &str) -> bool {
        check(query, &limits()).is_ok()
    }

    #[test]
    fn brackets_and_operators_in_strings_and_comments_do_not_count() {
        assert!(passes(r#"{a="((((", b='\'[[[[', c=`\`, d="+-+-+-"}"#));
        assert!(passes("a # ((((((\n + b"));
        assert!(!passes("a # comment\n (((b)))"));
        assert!(!passes(r#""\\" + (((("#));
        assert!(!passes(r#"{a=~"\é"}"#) && !passes(r#"{a=~"\"#));
    }

    #[test]
    fn operators_of_all_kinds_count() {
        assert!(passes("1 + 2 - 3 * 4"));
        for query in
            ["----a", "a and b or c unless d or e", "a<b>c<=d!=e", "a offset 1m @ 1 + 2 ^ 3"]
        {
            assert!(!passes(query), "{query}");
        }
    }

    #[test]
    fn regular_expressions_are_bounded_in_number_and_size() {
        assert!(passes(r#"{a=~"b+c*"}"#));
        assert!(!passes(r#"{a=~"b", c!~"d"}"#));
        assert!(!passes(r#"{a=~"(((a{50}){50}){50}){50}"}"#));
    }

    #[test]
    fn raw_strings_become_quoted_ones() {
        let out = check("{a=~`\\d+\"`} ", &limits()).expect("passes");
        assert_eq!(out, r#"{a=~"\\d+\""} "#);
    }

    #[test]
    fn durations_that_do_not_fit_are_refused() {
        for query in [
            "a[1e30]",
            "a offset -inf",
            "a offset NaN",
            "a[5000000000ms]",
            "a[5m:1e20]",
            "a[0xffffffffffff]",
        ] {
            assert!(matches!(check(query, &limits()), Err(Error::Duration(_))), "{query}");
        }
        assert!(passes("a[4294967295ms] offset 1e9"));
        assert!(passes("a + 1e30"));
    }
}
