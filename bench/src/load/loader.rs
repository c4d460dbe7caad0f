//! Workers that take a request, send it until it is answered, and put it back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::Answer;
use super::channel::Channel;
use super::options::{Options, Protocol};
use super::pace::Pace;
use super::report::{Expected, Percentiles, Report};
use super::supply::{Sending, Supply};
use crate::cpu;
use crate::spans::{Catalogue, Generator};

/// Ready to send: every request built, every connection made.
pub struct Prepared {
    options: Options,
    generator: Generator,
    supply: Supply,
    channels: Vec<Arc<Channel>>,
}

/// After the end, what is in flight may take this long.
const GRACE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const ERROR_CHARS: usize = 120;

/// Builds the requests and connects.
pub async fn prepare(options: Options) -> anyhow::Result<Prepared> {
    options.check()?;
    let mut generator = Generator::new(options.shape(), options.seed)?;
    let first_number = now_ns()?.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let packing = options.packing();
    let supply = Supply::new(&mut generator, options.prepared_requests(), packing, first_number);
    // HTTP/1.1 answers one request after the other: each worker has a connection of its own.
    let connections = match options.protocol {
        Protocol::Grpc => options.connections,
        Protocol::Http => options.connections * options.in_flight,
    };
    let channel = || Arc::new(Channel::new(options.protocol, options.to, packing));
    let channels: Vec<_> = (0..connections).map(|_| channel()).collect();
    for channel in &channels {
        channel.connected().await.context("the receiver cannot be reached")?;
    }
    Ok(Prepared { options, generator, supply, channels })
}

impl Prepared {
    pub async fn run(self) -> anyhow::Result<Report> {
        let Prepared { options, generator, supply, channels } = self;
        let lasts = options.duration()?;
        let every = options.rate.map(|rate| Duration::from_secs_f64(options.spans as f64 / rate));
        let cpu_before = cpu::of_process()?;
        let began = Instant::now();
        let run = Arc::new(Run {
            pace: Pace::new(lasts, every, options.requests),
            give_up: began + lasts + GRACE,
            state: Mutex::new(State { supply, outcome: Outcome::default() }),
        });
        let mut workers = JoinSet::new();
        for number in 0..options.connections * options.in_flight {
            workers.spawn(worker(run.clone(), channels[number % channels.len()].clone()));
        }
        while let Some(ended) = workers.join_next().await {
            ended.context("a worker failed")??;
        }
        let (seconds, cpu_seconds) =
            (began.elapsed().as_secs_f64(), cpu::of_process()? - cpu_before);
        let mut state = run.state();
        Ok(state.report(generator.catalogue(), seconds, cpu_seconds))
    }
}

struct Run {
    pace: Pace,
    give_up: Instant,
    state: Mutex<State>,
}

/// One thread does everything: the lock is never waited for.
struct State {
    supply: Supply,
    outcome: Outcome,
}

#[derive(Default)]
struct Outcome {
    latencies: Vec<Duration>,
    acked_spans: u64,
    rejected_spans: u64,
    failed_requests: u64,
    unknown_requests: u64,
    unknown_spans: u64,
    retries: u64,
    sent_bytes: u64,
    errors: BTreeMap<String, u64>,
}

impl Run {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn worker(run: Arc<Run>, channel: Arc<Channel>) -> anyhow::Result<()> {
    while let Some(due) = run.pace.next().await {
        let taken = run.state().supply.take(now_ns()?)?;
        let sending = taken.context("there are fewer prepared requests than workers")?;
        let since = due.since();
        let answer = send(&run, &channel, &sending).await;
        run.state().settle(sending, answer, since.elapsed());
    }
    Ok(())
}

/// The same bytes, until they are taken or refused, or time is up.
async fn send(run: &Run, channel: &Channel, sending: &Sending) -> Answer {
    let mut pause = FIRST_PAUSE;
    loop {
        run.state().outcome.sent_bytes += sending.framed.len() as u64;
        let exporting = channel.export(sending.framed.clone());
        let answer = timeout_at(run.give_up, exporting)
            .await
            .unwrap_or_else(|_| Answer::Unknown("no answer came".into()));
        let Answer::Retry { after } = answer else { return answer };
        let wait = after.unwrap_or(pause);
        if Instant::now() + wait >= run.give_up {
            return Answer::Refused("not taken to the end".into());
        }
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        run.state().outcome.retries += 1;
    }
}

impl State {
    fn settle(&mut self, sending: Sending, answer: Answer, took: Duration) {
        let outcome = &mut self.outcome;
        let spans = sending.spans as u64;
        let acked = match answer {
            Answer::Acked => true,
            Answer::Partial { rejected_spans } => {
                outcome.rejected_spans += rejected_spans;
                true
            }
            Answer::Refused(said) => {
                outcome.failed_requests += 1;
                outcome.note(&said);
                false
            }
            Answer::Unknown(said) => {
                outcome.unknown_requests += 1;
                outcome.unknown_spans += spans;
                outcome.note(&said);
                false
            }
            // `send` ends with one of the others.
            Answer::Retry { .. } => false,
        };
        if acked {
            outcome.acked_spans += spans;
            outcome.latencies.push(took);
        }
        self.supply.put(sending, acked);
    }

    fn report(&mut self, catalogue: &Catalogue, seconds: f64, cpu_seconds: f64) -> Report {
        let tally = self.supply.tally(catalogue.groups().len());
        let outcome = std::mem::take(&mut self.outcome);
        let mut latencies = outcome.latencies;
        Report {
            seconds,
            acked_requests: latencies.len() as u64,
            acked_spans: outcome.acked_spans,
            rejected_spans: outcome.rejected_spans,
            failed_requests: outcome.failed_requests,
            unknown_requests: outcome.unknown_requests,
            unknown_spans: outcome.unknown_spans,
            retries: outcome.retries,
            sent_bytes: outcome.sent_bytes,
            spans_per_second: outcome.acked_spans as f64 / seconds,
            ack_ms: Percentiles::of(&mut latencies),
            cpu_seconds,
            errors: outcome.errors,
            tally: Expected::of(&tally, catalogue),
        }
    }
}

impl Outcome {
    fn note(&mut self, said: &str) {
        let short = said.chars().take(ERROR_CHARS).collect();
        *self.errors.entry(short).or_default() += 1;
    }
}

fn now_ns() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    u64::try_from(since.as_nanos()).context("the clock is after 2554")
}
