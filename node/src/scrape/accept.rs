//! What a scraper takes, by its `Accept` and `Accept-Encoding`.

use axum::http::{HeaderMap, HeaderName, header};

use super::format::Format;

/// The format with the highest weight, of several the first; the text format for whoever names none
/// that there is, as every client library has it.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let mut best = (0.0, Format::Text);
    for clause in clauses(headers, header::ACCEPT) {
        if let Some(format) = clause.format()
            && clause.weight > best.0
        {
            best = (clause.weight, format);
        }
    }
    best.1
}

pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let named = |name| {
        let mut clauses = clauses(headers, header::ACCEPT_ENCODING);
        clauses.find(|clause| clause.name.eq_ignore_ascii_case(name))
    };
    named("gzip").or_else(|| named("*")).is_some_and(|clause| clause.weight > 0.0)
}

struct Clause<'a> {
    name: &'a str,
    version: Option<&'a str>,
    weight: f64,
}

impl Clause<'_> {
    fn format(&self) -> Option<Format> {
        let is = |name| self.name.eq_ignore_ascii_case(name);
        if is("application/openmetrics-text") && matches!(self.version, None | Some("1.0.0")) {
            return Some(Format::OpenMetrics);
        }
        let plain = is("text/plain") && matches!(self.version, None | Some("0.0.4"));
        (plain || is("text/*") || is("*/*")).then_some(Format::Text)
    }
}

fn clauses(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Clause<'_>> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(clause)
}

fn clause(text: &str) -> Clause<'_> {
    let mut parts = text.split(';').map(str::trim);
    let mut clause = Clause { name: parts.next().unwrap_or_default(), version: None, weight: 1.0 };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => clause.version = Some(value),
            // A weight that is none is nobody's wish.
            "q" => clause.weight = value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    clause
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_format_is_the_one_with_the_highest_weight_that_there_is() {
        const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
             escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, expected) in [
            (PROMETHEUS_2, Format::OpenMetrics),
            (PROMETHEUS_3, Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", Format::OpenMetrics),
            ("Application/OpenMetrics-Text, */*", Format::OpenMetrics),
            ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.4", Format::Text),
            ("application/openmetrics-text;version=0.0.1,*/*;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=x", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/vnd.google.protobuf", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(format(&asked(header::ACCEPT, accept)), expected, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn the_page_is_squeezed_for_whoever_takes_gzip() {
        for (accept, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5, br", true),
            ("*", true),
            ("*;q=0.5, gzip;q=0", false),
            ("identity", false),
            ("gzip;q=0.0", false),
            ("", false),
        ] {
            assert_eq!(gzip(&asked(header::ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
        assert!(!gzip(&HeaderMap::new()));
    }
}
