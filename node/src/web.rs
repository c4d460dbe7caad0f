//! The page at `/`: one file without anything from elsewhere, which asks the API beside it.
//!
//! The server writes no data into the page, only the port that takes spans, so that the line which
//! sends one can be copied as it stands. The page in turn writes text only as text, and the policy
//! sent along lets nothing run that was not in the file.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// What the page has to know of its node.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub otlp_http_port: u16,
}

const HTML: &str = include_str!("../../web/index.html");

pub fn router(page: Page) -> Router {
    let html = HTML.replace("{{OTLP_HTTP_PORT}}", &page.otlp_http_port.to_string());
    Router::new().route("/", get(move || async move { respond(&html, rand::random()) }))
}

/// A nonce of its own for each answer, so that none can be foreseen.
fn respond(html: &str, nonce: u128) -> impl IntoResponse + use<> {
    let nonce = format!("{nonce:032x}");
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, html.replace("{{NONCE}}", &nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_one_file_with_its_blanks_filled() {
        assert!(HTML.len() < 40_000, "{} bytes", HTML.len());
        for foreign in ["src=\"http", "href=\"http", "@import", "innerHTML", "insertAdjacentHTML"] {
            assert!(!HTML.contains(foreign), "{foreign}");
        }
        let response = respond(&HTML.replace("{{OTLP_HTTP_PORT}}", "4318"), 7).into_response();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("'nonce-00000000000000000000000000000007'"), "{policy}");
        assert!(HTML.matches("nonce=\"{{NONCE}}\"").count() >= 2);
        assert_eq!(HTML.matches("{{").count(), HTML.matches("{{NONCE}}").count() + 1);
    }
}
