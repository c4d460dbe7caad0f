//! `/metrics`, and a body that is written as it is read.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tributary_spanmetrics::{Naming, Tenant};

use super::accept;
use super::edges::Edges;
use super::gzip::Squeezed;
use super::metrics::ScrapeMetrics;
use super::page::Page;
use super::walk::Walk;

#[derive(Clone, Debug)]
pub struct Options {
    pub tenant: Tenant,
    pub naming: Naming,
    /// Pages under way at one time; whoever asks for more is told to come again.
    pub at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { tenant: Tenant::default(), naming: Naming::default(), at_once: 16 }
    }
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Scrape {
    options: Arc<Options>,
    edges: Edges,
    room: Arc<Semaphore>,
    metrics: Arc<ScrapeMetrics>,
}

impl Scrape {
    pub fn new(options: Options, edges: Edges) -> Self {
        let room = Arc::new(Semaphore::new(options.at_once));
        Scrape { options: Arc::new(options), edges, room, metrics: Arc::default() }
    }

    pub fn metrics(&self) -> &Arc<ScrapeMetrics> {
        &self.metrics
    }
}

pub fn router(scrape: Scrape) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found: ask /metrics\n") })
        .with_state(scrape)
}

async fn metrics(State(scrape): State<Scrape>, headers: HeaderMap) -> Response {
    scrape.metrics.requests.add(1);
    let Ok(permit) = scrape.room.clone().try_acquire_owned() else {
        scrape.metrics.refused.add(1);
        let at_once = scrape.options.at_once;
        let reason = format!("{at_once} scrapes are under way: ask again when one has ended\n");
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], reason)
            .into_response();
    };
    let format = accept::format(&headers);
    let squeezed = accept::gzip(&headers);
    let walk = Walk::new(scrape.options.tenant.clone(), scrape.edges);
    let body = Written {
        page: Page::new(format, scrape.options.naming.clone(), walk),
        squeezed: squeezed.then(Squeezed::new),
        began: Instant::now(),
        metrics: scrape.metrics,
        _permit: permit,
    };
    let mut response =
        Body::from_stream(stream::try_unfold(Some(body), Written::next)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if squeezed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A page on its way out.
struct Written {
    page: Page,
    squeezed: Option<Squeezed>,
    began: Instant,
    metrics: Arc<ScrapeMetrics>,
    _permit: OwnedSemaphorePermit,
}

impl Written {
    /// What is sent next, and what is left then. An error breaks the connection off, so that nobody
    /// takes half a page for a whole one.
    async fn next(written: Option<Self>) -> io::Result<Option<(Bytes, Option<Self>)>> {
        let Some(mut written) = written else { return Ok(None) };
        loop {
            let chunk = written.page.next().await.map_err(io::Error::other)?;
            let Some(chunk) = chunk else {
                written.metrics.seconds.observe_seconds(written.began.elapsed());
                return match written.squeezed {
                    Some(squeezed) => Ok(Some((squeezed.end()?, None))),
                    None => Ok(None),
                };
            };
            let Some(squeezed) = &mut written.squeezed else {
                return Ok(Some((chunk, Some(written))));
            };
            let sent = squeezed.write(&chunk)?;
            if !sent.is_empty() {
                return Ok(Some((sent, Some(written))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_while_too_many_are_under_way_is_told_to_come_again() {
        let options = Options { at_once: 1, ..Options::default() };
        let scrape = Scrape::new(options, Edges::default());
        let ask = || metrics(State(scrape.clone()), HeaderMap::new());
        let first = ask().await;
        assert_eq!(first.status(), StatusCode::OK);
        let second = ask().await;
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.headers()[header::RETRY_AFTER], "1");
        drop(first);
        assert_eq!(ask().await.status(), StatusCode::OK);
        assert_eq!((scrape.metrics.requests.get(), scrape.metrics.refused.get()), (3, 1));
    }
}
