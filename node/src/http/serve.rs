//! Serves one router on several listeners.
//!
//! The service owns its connections: when it returns, none of them is left. On shutdown it stops
//! accepting, closes idle connections at once, lets requests under way end, and cuts off what still
//! runs after the grace period, since a client that keeps its connection open must not keep the
//! process alive.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::future::select_all;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::patience::Patient;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections open at one time; further ones wait in the listeners' backlog.
    pub max_connections: usize,
    /// A client that takes longer over its request's head, or is idle for longer, is cut off.
    pub header_timeout: Duration,
    /// A client that takes less than 64 KiB of what waits for it in this long is cut off.
    pub write_timeout: Duration,
    /// Requests under way at shutdown may take this long.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_connections: 512,
            header_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_millis(500),
        }
    }
}

/// Serves until `shutdown` says stop, and for at most the grace period after that.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    options: Options,
    shutdown: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(options.max_connections));
    let mut connections = JoinSet::new();
    let stopping = stopped(shutdown.clone());
    tokio::pin!(stopping);
    loop {
        tokio::select! {
            () = &mut stopping => break,
            Some(ended) = connections.join_next() => report(ended),
            (stream, permit) = accept(&listeners, &room) => {
                let connection = converse(stream, router.clone(), options, shutdown.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
        }
    }
    drop(listeners);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(options.grace, drained).await.is_err() {
        warn!(connections = connections.len(), "requests still under way are cut off");
        connections.shutdown().await;
    }
}

/// The next connection of any listener, once there is room for it.
async fn accept(
    listeners: &[TcpListener],
    room: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = room.clone().acquire_owned().await.expect("never closed");
    loop {
        if listeners.is_empty() {
            std::future::pending::<()>().await;
        }
        let each = listeners.iter().map(|listener| Box::pin(listener.accept()));
        match select_all(each).await.0 {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                // Out of file descriptors, most likely: asking again at once would only spin.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    router: Router,
    options: Options,
    shutdown: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    let service = TowerToHyperService::new(router);
    let stream = Patient::new(stream, options.write_timeout);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error is a sender that is gone, which means the same.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        warn!(%error, "a connection's task panicked");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// Longer than any test waits for what has to come.
    const LONG: Duration = Duration::from_secs(60);

    fn with_grace(grace: Duration) -> Options {
        Options { grace, ..Options::default() }
    }

    async fn started(
        router: Router,
        options: Options,
    ) -> (TcpStream, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = watch::channel(false);
        let served = tokio::spawn(serve(vec![listener], router, options, shutdown));
        (TcpStream::connect(address).await.unwrap(), stop, served)
    }

    async fn asked(client: &mut TcpStream, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn idle_keep_alive_connection_does_not_hold_up_the_end() {
        let router = Router::new().route("/", get(|| async { "here" }));
        let (mut client, stop, served) = started(router, with_grace(2 * LONG)).await;
        asked(&mut client, "/").await;
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        stop.send(true).unwrap();
        timeout(LONG, served).await.expect("does not wait for the grace period").unwrap();
    }

    #[tokio::test]
    async fn request_under_way_ends_within_the_grace_period() {
        let (under_way, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begun, released) = (under_way.clone(), go_on.clone());
        let slow = || async move {
            begun.notify_one();
            released.notified().await;
            "done"
        };
        let router = Router::new().route("/", get(slow));
        let (mut client, stop, served) = started(router, with_grace(2 * LONG)).await;
        let address = client.peer_addr().unwrap();
        asked(&mut client, "/").await;
        under_way.notified().await;
        stop.send(true).unwrap();
        let closed = async { while TcpStream::connect(address).await.is_ok() {} };
        timeout(LONG, closed).await.expect("accepts nothing more");
        go_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        timeout(LONG, served).await.expect("ends with its last request").unwrap();
    }

    #[tokio::test]
    async fn request_that_never_ends_is_cut_off() {
        let under_way = Arc::new(Notify::new());
        let begun = under_way.clone();
        let never = || async move {
            begun.notify_one();
            std::future::pending::<&'static str>().await
        };
        let grace = Duration::from_millis(50);
        let (mut client, stop, served) =
            started(Router::new().route("/", get(never)), with_grace(grace)).await;
        asked(&mut client, "/").await;
        under_way.notified().await;
        let began = Instant::now();
        stop.send(true).unwrap();
        timeout(LONG, served).await.expect("is cut off").unwrap();
        assert!(began.elapsed() >= grace, "{:?}", began.elapsed());
        let mut answer = String::new();
        let read = client.read_to_string(&mut answer).await;
        assert!(read.is_err() || answer.is_empty(), "{answer}");
    }
}
