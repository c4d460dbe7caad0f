//! CORS: which pages of browsers may send spans (the Fetch standard, "CORS protocol").
//!
//! A browser asks before it sends (`OPTIONS`, a preflight), and shows the page an answer only if the
//! answer names the page's origin. A page that is not allowed gets its answers without that.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::receivers::export::Signal;
use crate::receivers::options::Cors;

/// What OTLP's own requests need, whatever the configuration says.
const HEADERS: [&str; 6] = [
    "accept",
    "accept-language",
    "content-type",
    "content-encoding",
    "content-language",
    "x-requested-with",
];

pub(crate) struct Rules {
    origins: Vec<Pattern>,
    is_any_origin: bool,
    headers: Vec<String>,
    is_any_header: bool,
    max_age: Option<HeaderValue>,
}

impl Rules {
    pub(crate) fn new(cors: &Cors) -> Self {
        let Cors { allowed_origins, allowed_headers, max_age } = cors;
        let own = HEADERS.iter().map(|&name| name.to_owned());
        Rules {
            origins: allowed_origins.iter().map(|origin| Pattern::new(origin)).collect(),
            is_any_origin: allowed_origins.iter().any(|origin| origin == "*"),
            headers: allowed_headers
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .chain(own)
                .collect(),
            is_any_header: allowed_headers.iter().any(|name| name == "*"),
            max_age: max_age.map(|age| HeaderValue::from(age.as_secs())),
        }
    }

    /// The answer to a preflight; `None` for every other request.
    pub(crate) fn preflight(&self, head: &Parts) -> Option<Response<Bytes>> {
        let asked = &head.headers;
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        Signal::of_http_path(head.uri.path())?;
        if head.method != Method::OPTIONS || !asked.contains_key(ORIGIN) {
            return None;
        }
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for name in [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
            headers.append(VARY, name.into());
        }
        if method != Method::POST.as_str() || !self.allows_headers(asked) {
            return Some(response);
        }
        if let Some(origin) = self.origin(asked) {
            self.name(origin, headers);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            if let Some(age) = &self.max_age {
                headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
            }
        }
        Some(response)
    }

    /// What a page may see of an answer, a refusal's too.
    pub(crate) fn allow(&self, asked: &HeaderMap, headers: &mut HeaderMap) {
        headers.append(VARY, ORIGIN.into());
        if let Some(origin) = self.origin(asked) {
            self.name(origin, headers);
            let exposed = HeaderValue::from_static("Retry-After");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }

    fn name(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        if self.is_any_origin {
            // Browsers take this only for requests without cookies.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    fn origin<'a>(&self, asked: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = asked.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|pattern| pattern.fits(text)).then_some(origin)
    }

    fn allows_headers(&self, asked: &HeaderMap) -> bool {
        let lists = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS);
        self.is_any_header
            || lists.iter().flat_map(|list| list.as_bytes().split(|&byte| byte == b',')).all(
                |name| {
                    let name = name.trim_ascii();
                    name.is_empty()
                        || self
                            .headers
                            .iter()
                            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
                },
            )
    }
}

/// A text with at most one `*` in it, for any other text. The configuration refuses a second one.
#[derive(Debug)]
enum Pattern {
    Exact(String),
    Around { before: String, behind: String },
}

impl Pattern {
    fn new(pattern: &str) -> Self {
        // Schemes and hosts have no case.
        let pattern = pattern.to_ascii_lowercase();
        match pattern.split_once('*') {
            None => Pattern::Exact(pattern),
            Some((before, behind)) => {
                Pattern::Around { before: before.into(), behind: behind.into() }
            }
        }
    }

    fn fits(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match self {
            Pattern::Exact(exact) => origin == *exact,
            Pattern::Around { before, behind } => {
                origin.strip_prefix(before.as_str()).is_some_and(|rest| rest.ends_with(behind))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_is_around_its_star() {
        let pattern = Pattern::new("https://*.Example.com");
        assert!(pattern.fits("https://shop.example.com"));
        assert!(pattern.fits("https://a.b.EXAMPLE.com"));
        for other in ["https://example.com", "http://shop.example.com", "https://x.example.com.net"]
        {
            assert!(!pattern.fits(other), "{other}");
        }
        // The two sides do not overlap.
        assert!(!Pattern::new("ab*ba").fits("aba"));
        assert!(Pattern::new("*").fits("null"));
    }
}
