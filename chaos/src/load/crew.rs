//! All clients of a run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{Client, Seen};
use super::spans::Groups;
use super::wire::Ports;
use crate::tally::Tally;

pub(crate) struct Crew {
    clients: Vec<Client>,
}

/// Clients at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Client>,
}

impl Crew {
    pub(crate) fn new(count: usize, seed: u64, groups: &Groups, hang_up: bool) -> Self {
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        let began_ns = u64::try_from(now_ns).unwrap_or(u64::MAX);
        let client = |n| Client::new(seed.wrapping_add(n), groups.clone(), began_ns, hang_up);
        Crew { clients: (1..=count as u64).map(client).collect() }
    }

    pub(crate) fn load(self, ports: Ports) -> Load {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for mut client in self.clients {
            let stopped = stopped.clone();
            tasks.spawn(async move {
                client.load(ports, stopped).await;
                client
            });
        }
        Load { stop, tasks }
    }

    /// Each waiting request once.
    pub(crate) async fn retry(&mut self, ports: Ports) -> anyhow::Result<()> {
        self.each(move |mut client| async move {
            client.retry(ports).await;
            client
        })
        .await
    }

    /// Until nothing waits.
    pub(crate) async fn drain(&mut self, ports: Ports, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        self.each(move |mut client| async move {
            client.drain(ports, until).await;
            client
        })
        .await
    }

    pub(crate) fn waiting(&self) -> usize {
        self.clients.iter().map(Client::waiting).sum()
    }

    pub(crate) fn acked(&self) -> Tally {
        self.sum(|client| &client.acked)
    }

    pub(crate) fn acked_tries(&self) -> Tally {
        self.sum(|client| &client.acked_tries)
    }

    pub(crate) fn tried(&self) -> Tally {
        self.sum(|client| &client.tried)
    }

    pub(crate) fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        self.clients.iter().for_each(|client| seen.add(&client.seen));
        seen
    }

    /// What they were told that no fault explains. Each thing is told once.
    pub(crate) fn take_wrong(&mut self) -> Vec<String> {
        self.clients.iter_mut().flat_map(|client| std::mem::take(&mut client.wrong)).collect()
    }

    fn sum(&self, of: impl Fn(&Client) -> &Tally) -> Tally {
        let mut sum = Tally::default();
        self.clients.iter().for_each(|client| sum.merge(of(client)));
        sum
    }

    async fn each<F>(&mut self, work: impl Fn(Client) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = Client> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for client in self.clients.drain(..) {
            tasks.spawn(work(client));
        }
        self.clients = gather(tasks).await?;
        Ok(())
    }
}

impl Load {
    /// Each client ends the try that it is at.
    pub(crate) async fn stop(self) -> anyhow::Result<Crew> {
        // All of them may have ended with an error; then nobody hears it.
        let _ = self.stop.send(true);
        Ok(Crew { clients: gather(self.tasks).await? })
    }
}

async fn gather(mut tasks: JoinSet<Client>) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    while let Some(client) = tasks.join_next().await {
        clients.push(client.context("a client failed")?);
    }
    Ok(clients)
}
