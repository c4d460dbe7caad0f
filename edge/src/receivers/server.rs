//! Connections: accepted up to a number, served in HTTP/1 and HTTP/2 alike, ended with grace.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Options;
use super::streams::Streams;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Calls of one connection at once.
const STREAMS: u32 = 128;
const HEAD_BYTES: u32 = 64 << 10;

/// Serves until `shutdown` says stop, then gives what is in flight the options' grace.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    options: Options,
    mut shutdown: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut shutdown) => break,
            accepted = listener.accept(), if connections.len() < options.connections => {
                match accepted {
                    Ok((stream, _)) => {
                        let (service, shutdown) = (service.clone(), shutdown.clone());
                        connections.spawn(connection(stream, service, options, shutdown));
                    }
                    Err(error) => {
                        // Of file handles, most likely: some come back as connections end.
                        warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            Some(ended) = connections.join_next() => note_panic(ended),
        }
    }
    drop(listener);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if timeout(options.grace, all_ended).await.is_err() {
        warn!(connections = connections.len(), "the grace is over: connections are cut");
        connections.shutdown().await;
    }
}

async fn connection<S, B>(
    stream: TcpStream,
    service: S,
    options: Options,
    mut shutdown: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Answers are small and awaited; without it only latency is lost.
    let _ = stream.set_nodelay(true);
    let streams = Streams::default();
    let mut builder = Builder::new(streams.clone());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told_to_stop(&mut shutdown) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke off");
    }
    streams.ended().await;
}

/// A sender that is gone says stop too.
async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

pub(crate) fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        warn!(%error, "a request made its connection panic");
    }
}
