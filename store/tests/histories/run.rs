//! One history, judged after each step.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::yield_now;
use tributary_proto::{Answer, OfferError};
use tributary_store::View;

use crate::history::edges::Edges;
use crate::history::{Crash, History, Pace, Said, Step, Trouble, Word};
use crate::names::{Names, SHARDS};
use crate::oracle::plain::Plain;
use crate::oracle::state::State;
use crate::oracle::worlds::Worlds;
use crate::questions::{Asked, Question};
use crate::send::{Answered, Glimpse, Progress, offer_all, send, watch};
use crate::subject::{Ground, Subject};
use crate::tally::Tally;

/// Drawn after each step, for each shard.
const QUESTIONS: usize = 2;
/// Everything is asked after every so many steps.
const EVERYTHING: usize = 8;
const READERS: usize = 4;
/// A shard whose disk is well again answers within so many offers.
const TRIES: usize = 3;
/// What a head may hold: checkpoints after each commit, now and then, and when they are asked for.
const HEADS: [usize; 3] = [0, 4 << 10, 1 << 20];
/// Who speaks to find out whether a shard is well.
const PROBE: usize = 99;

pub(crate) type Verdict = Result<(), String>;

struct Run<'a> {
    names: &'a Names,
    subject: Subject,
    worlds: Vec<Worlds>,
    edges: Edges,
    readers: Vec<Reader>,
    trouble: Option<Trouble>,
    tally: Tally,
}

struct Reader {
    shard: usize,
    view: View,
    /// What it may have found when it began.
    states: Vec<State>,
}

pub(crate) async fn run(history: &History, ground: Ground, names: &Names) -> Result<Tally, String> {
    let head_bytes = HEADS[history.seed as usize % HEADS.len()];
    let subject = Subject::open(ground, head_bytes, 256 << 10).await?;
    let worlds = (0..SHARDS).map(|_| Worlds::new()).collect();
    let (edges, readers, tally) = (Edges::default(), Vec::new(), Tally::default());
    let mut run = Run { names, subject, worlds, edges, readers, trouble: None, tally };
    for (number, drawn) in (1..).zip(&history.steps) {
        let mut rng = StdRng::seed_from_u64(drawn.dice);
        let judged = async {
            run.step(&drawn.step, &mut rng).await?;
            run.check(&mut rng, number % EVERYTHING == 0).await
        };
        judged.await.map_err(|wrong| format!("step {number}: {wrong}"))?;
    }
    run.finish(history.seed).await.map_err(|wrong| format!("at the end: {wrong}"))?;
    run.tally.histories = 1;
    run.tally.steps = history.steps.len() as u64;
    Ok(run.tally)
}

impl Run<'_> {
    async fn step(&mut self, step: &Step, rng: &mut StdRng) -> Verdict {
        match step {
            Step::Say { said, pace, is_watched } => self.say(said, *pace, *is_watched, rng).await,
            Step::SayAgain => {
                let rest = self.edges.rest(self.is_careful());
                self.offer(rest).await.map(drop)
            }
            Step::Hold { shard } => {
                self.hold(*shard);
                Ok(())
            }
            Step::Release if self.readers.is_empty() => Ok(()),
            Step::Release => {
                let reader = self.readers.remove(0);
                self.ask_reader(reader, &Question::Everything).await.map(drop)
            }
            Step::Crash(crash) => self.crash(*crash).await,
            Step::CrashDuring { said, after_yields, crash } => {
                self.crash_during(said, *after_yields, *crash).await
            }
            Step::Restart => self.restart().await,
            Step::Trouble(trouble) => {
                if self.subject.is_twin() {
                    self.subject.heal();
                    self.subject.trouble(*trouble);
                    self.trouble = Some(*trouble);
                    self.tally.troubles += 1;
                }
                Ok(())
            }
            Step::Checkpoint => self.checkpoint().await,
            Step::Heal => self.heal().await,
        }
    }

    async fn checkpoint(&mut self) -> Verdict {
        match self.subject.checkpoint().await {
            Err(error) if (0..SHARDS).all(|shard| !self.may_fail(shard)) => {
                Err(format!("no checkpoint, and the disk is well: {error}"))
            }
            _ => Ok(()),
        }
    }

    async fn say(
        &mut self,
        said: &[Said],
        pace: Pace,
        is_watched: bool,
        rng: &mut StdRng,
    ) -> Verdict {
        let is_careful = self.is_careful();
        let is_watched = is_watched && !is_careful && !self.worlds.iter().any(Worlds::is_doubtful);
        let progress = Progress::default();
        let states: Vec<_> = self.worlds.iter().map(|worlds| worlds.likely().clone()).collect();
        let (subject, names, edges) = (&self.subject, self.names, &mut self.edges);
        let watching = async {
            if is_watched { watch(subject, names, &states, rng, &progress).await } else { vec![] }
        };
        let sending = send(subject, edges, names, said, (pace, is_careful), &progress);
        let (answered, glimpses) = futures::join!(sending, watching);
        judge_glimpses(&glimpses, &answered, &states, &mut self.tally)?;
        self.believe(&answered)
    }

    fn believe(&mut self, answered: &[Answered]) -> Verdict {
        for (offer, answer) in answered {
            self.count(answer);
            if let Err(error @ OfferError::Unavailable { .. }) = answer
                && !self.may_fail(offer.shard)
            {
                return Err(format!("{offer} has no answer, and the disk is well: {error}"));
            }
            self.worlds[offer.shard].answered(offer, answer.clone())?;
        }
        Ok(())
    }

    fn count(&mut self, answer: &Result<Answer, OfferError>) {
        self.tally.offers += 1;
        match answer {
            Ok(Answer::Applied) => self.tally.taken += 1,
            Err(OfferError::Unavailable { .. }) => self.tally.unanswered += 1,
            _ => self.tally.told_otherwise += 1,
        }
    }

    fn hold(&mut self, shard: usize) {
        if self.may_fail(shard) || self.readers.len() == READERS {
            return;
        }
        let states = self.worlds[shard].states().cloned().collect();
        self.readers.push(Reader { shard, view: self.subject.view(shard), states });
        self.tally.readers += 1;
    }

    /// A RocksDB in this process cannot lose what it was told: there it is a restart.
    async fn crash(&mut self, crash: Crash) -> Verdict {
        if !self.subject.is_twin() {
            return self.restart().await;
        }
        self.subject.crash(crash);
        self.begin_again().await?;
        self.tally.crashes += 1;
        self.worlds.iter_mut().try_for_each(Worlds::crashed)
    }

    async fn crash_during(&mut self, said: &[Said], after_yields: usize, crash: Crash) -> Verdict {
        let is_careful = self.is_careful();
        let (subject, names, progress) = (&self.subject, self.names, Progress::default());
        let sending =
            send(subject, &mut self.edges, names, said, (Pace::AtOnce, is_careful), &progress);
        let crashing = async {
            for _ in 0..after_yields {
                yield_now().await;
            }
            subject.crash(crash);
        };
        let (answered, ()) = futures::join!(sending, crashing);
        for (offer, answer) in &answered {
            self.count(answer);
            let is_unanswered = answer.as_ref().is_err_and(OfferError::is_retryable);
            let worlds = &mut self.worlds[offer.shard];
            if is_unanswered && !is_careful && self.subject.is_twin() {
                worlds.cut_off(offer);
            } else {
                worlds.answered(offer, answer.clone())?;
            }
        }
        self.crash(crash).await
    }

    async fn restart(&mut self) -> Verdict {
        let was_well = self.trouble.is_none();
        self.begin_again().await?;
        self.tally.restarts += 1;
        self.worlds.iter_mut().try_for_each(|worlds| worlds.restarted(was_well))
    }

    async fn begin_again(&mut self) -> Verdict {
        self.readers.clear();
        self.subject.end().await;
        self.subject.heal();
        self.trouble = None;
        self.subject.begin().await
    }

    /// Every reader ends, since a shard that failed waits for them; then all shards answer.
    async fn heal(&mut self) -> Verdict {
        self.subject.heal();
        self.trouble = None;
        for reader in std::mem::take(&mut self.readers) {
            self.ask_reader(reader, &Question::Everything).await?;
        }
        // A shard that closed its rows to readers opens them again, and one whose head was full has room.
        self.checkpoint().await?;
        for shard in 0..SHARDS {
            let word = Word::Slice { says: Plain::default(), promise_ms: i64::MIN };
            self.until_answered(Said { edge: PROBE, shard, word }).await?;
        }
        Ok(())
    }

    async fn until_answered(&mut self, said: Said) -> Verdict {
        for _ in 0..TRIES {
            let offers = self.edges.resolve(&said, self.names, false);
            let answered = self.offer(offers).await?;
            if answered.iter().all(|(_, answer)| answer.is_ok()) {
                return Ok(());
            }
        }
        Err(format!("shard {} stays without an answer though its disk is well", said.shard))
    }

    async fn offer(
        &mut self,
        offers: Vec<crate::history::edges::Offer>,
    ) -> Result<Vec<Answered>, String> {
        let answered = offer_all(&self.subject, offers, &Progress::default()).await;
        answered.iter().for_each(|(offer, answer)| self.edges.heard(offer, answer));
        self.edges.settle();
        self.believe(&answered)?;
        Ok(answered)
    }

    async fn finish(&mut self, seed: u64) -> Verdict {
        self.heal().await?;
        let rest = self.edges.rest(false);
        self.offer(rest).await?;
        let mut rng = StdRng::seed_from_u64(seed);
        self.check(&mut rng, true).await?;
        self.crash(Crash { seed, power: true }).await?;
        self.check(&mut rng, true).await?;
        self.readers.clear();
        self.subject.end().await;
        let counted = self.subject.counted;
        self.tally.commits = counted.commits;
        self.tally.checkpoints = counted.checkpoints;
        self.tally.compactions = counted.compactions;
        self.tally.reopened = counted.reopened;
        Ok(())
    }

    async fn check(&mut self, rng: &mut StdRng, of_everything: bool) -> Verdict {
        for _ in 0..self.readers.len() {
            let reader = self.readers.remove(0);
            let state = &reader.states[0];
            let is_all = rng.gen_ratio(1, 4);
            let question = if is_all { Question::Everything } else { Question::draw(rng, state) };
            let reader = self.ask_reader(reader, &question).await?;
            self.readers.push(reader);
        }
        for shard in 0..SHARDS {
            let is_all = of_everything || self.worlds[shard].is_doubtful();
            let drawn = (0..QUESTIONS).map(|_| Question::draw(rng, self.worlds[shard].likely()));
            let everything = is_all.then_some(Question::Everything);
            for question in drawn.chain(everything).collect::<Vec<_>>() {
                self.ask(shard, &question).await?;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, shard: usize, question: &Question) -> Verdict {
        self.tally.questions += 1;
        let view = self.subject.view(shard);
        let told = question.ask(&view, shard, self.names).await;
        let Some(told) = self.readable(shard, told, question)? else { return Ok(()) };
        let worlds = &mut self.worlds[shard];
        if worlds.keep(|state| question.expected(state) == told) {
            return Ok(());
        }
        let expected = question.expected(worlds.likely());
        Err(format!("shard {shard} was asked for {question}\n{}", expected.against(&told)))
    }

    async fn ask_reader(
        &mut self,
        mut reader: Reader,
        question: &Question,
    ) -> Result<Reader, String> {
        self.tally.held_questions += 1;
        let told = question.ask(&reader.view, reader.shard, self.names).await;
        let Some(told) = self.readable(reader.shard, told, question)? else { return Ok(reader) };
        let expected = question.expected(&reader.states[0]);
        reader.states.retain(|state| question.expected(state) == told);
        if reader.states.is_empty() {
            let Reader { shard, .. } = reader;
            let wrong = expected.against(&told);
            return Err(format!(
                "a held reader of shard {shard} was asked for {question}\n{wrong}"
            ));
        }
        Ok(reader)
    }

    fn readable(
        &self,
        shard: usize,
        told: Asked,
        question: &Question,
    ) -> Result<Option<crate::questions::Answer>, String> {
        match told {
            Ok(told) => Ok(Some(told)),
            Err(_) if self.may_fail(shard) => Ok(None),
            Err(error) => Err(format!(
                "shard {shard} does not tell {question}, and its disk is well: {error}"
            )),
        }
    }

    fn may_fail(&self, shard: usize) -> bool {
        self.worlds[shard].is_shaken || self.trouble.is_some_and(|trouble| trouble.hits(shard))
    }

    fn is_careful(&self) -> bool {
        (0..SHARDS).any(|shard| self.may_fail(shard))
    }
}

/// What was told meanwhile is told by a state on the way, none earlier than the one before, and with
/// everything that had been answered.
fn judge_glimpses(
    glimpses: &[Glimpse],
    answered: &[Answered],
    states: &[State],
    tally: &mut Tally,
) -> Verdict {
    for (shard, state) in states.iter().enumerate() {
        let glimpses: Vec<_> = glimpses.iter().filter(|glimpse| glimpse.shard == shard).collect();
        if glimpses.is_empty() {
            continue;
        }
        let mut way = vec![state.clone()];
        for (offer, answer) in answered.iter().filter(|(offer, _)| offer.shard == shard) {
            let mut state = way.last().expect("not empty").clone();
            if *answer == Ok(Answer::Applied) {
                state.take(offer);
            }
            way.push(state);
        }
        let mut at = 0;
        for Glimpse { answered, question, told, .. } in glimpses {
            let told =
                told.as_ref().map_err(|error| format!("a glimpse of {question}: {error}"))?;
            at = at.max(*answered);
            let found = way[at..].iter().position(|state| question.expected(state) == *told);
            let Some(found) = found else {
                let wrong = question.expected(&way[at]).against(told);
                return Err(format!("shard {shard} was asked for {question} meanwhile\n{wrong}"));
            };
            at += found;
            tally.glimpses += 1;
            tally.glimpses_between += u64::from(0 < at && at < way.len() - 1);
        }
    }
    Ok(())
}
