//! The crowd as its parent sees it.

use std::process::Stdio;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::answers::{self, Counted};
use crate::abuse::Kind;
use crate::abuse::process::Process;
use crate::load::Ports;

pub(in crate::abuse) struct Crowd {
    /// Ends with this.
    child: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    /// Waits until its bodies are made.
    pub(in crate::abuse) async fn gather(
        kinds: &[Kind],
        ports: Ports,
        groups_rate: u64,
    ) -> anyhow::Result<Crowd> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("crowd");
        command.args(["--grpc-port".into(), ports.grpc.to_string()]);
        command.args(["--http-port".into(), ports.http.to_string()]);
        command.args(["--groups-rate".into(), groups_rate.to_string()]);
        for kind in kinds {
            command.args(["--kind", kind.name()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("starting the crowd")?;
        let orders = child.stdin.take().context("its input is piped")?;
        let said = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let mut crowd = Crowd { child, orders, said };
        let ready = crowd.hear().await?;
        anyhow::ensure!(ready == "ready", "the crowd said {ready:?} first");
        Ok(crowd)
    }

    pub(in crate::abuse) fn process(&self) -> anyhow::Result<Process> {
        Ok(Process { pid: self.child.id().context("the crowd has ended")? })
    }

    pub(in crate::abuse) async fn go(&mut self) -> anyhow::Result<()> {
        self.tell("go").await
    }

    /// What it was answered since it went.
    pub(in crate::abuse) async fn stop(&mut self) -> anyhow::Result<Counted> {
        self.tell("stop").await?;
        answers::read(&self.hear().await?)
    }

    async fn tell(&mut self, order: &str) -> anyhow::Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.context("the crowd is gone")
    }

    async fn hear(&mut self) -> anyhow::Result<String> {
        self.said.next_line().await?.context("the crowd ended by itself")
    }
}
