//! The command line.

use anyhow::{Context, bail};
use tributary_sim::Plant;

#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) seeds: u64,
    pub(crate) start: u64,
    /// Each of these bugs has to be caught by one of the seeds.
    pub(crate) plants: Vec<Plant>,
    /// Whether the code as it is runs too.
    pub(crate) unplanted: bool,
    /// Whether journals are damaged in it, alone.
    pub(crate) damaged: bool,
    /// Every event, not only the verdict.
    pub(crate) print: bool,
    /// What a run of many seeds starts for each: one seed, in this process.
    pub(crate) one: Option<u64>,
}

const USAGE: &str = "usage: tributary-sim [--seeds N] [--start S] [--plant NAME] [--damage] [--print] [--one SEED]
  --seeds N      seeds to run, each in two processes that must agree (default 20)
  --start S      the first seed (default 1)
  --plant NAME   run with a planted bug instead, which one of the seeds must catch; 'none' plants none
                 (default: none, then none with damaged journals, then each of them in turn)
  --damage       run with damaged journals only, and no planted bug
  --print        print every event
  --one SEED     one seed in this process";

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Arguments {
            seeds: 20,
            start: 1,
            plants: Plant::ALL.to_vec(),
            unplanted: true,
            damaged: false,
            print: false,
            one: None,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value =
                || words.next().with_context(|| format!("{word} wants a value\n{USAGE}"));
            match word.as_str() {
                "--seeds" => parsed.seeds = number(&value()?)?,
                "--start" => parsed.start = number(&value()?)?,
                "--one" => parsed.one = Some(number(&value()?)?),
                "--damage" => {
                    parsed.damaged = true;
                    parsed.plants.clear();
                }
                "--print" => parsed.print = true,
                "--plant" => {
                    let name = value()?;
                    let named = Plant::ALL.into_iter().find(|plant| plant.name() == name);
                    if named.is_none() && name != "none" {
                        let known = Plant::ALL.map(Plant::name).join(", ");
                        bail!("no bug named {name:?}: it is one of {known}, or none");
                    }
                    parsed.unplanted = named.is_none();
                    parsed.plants = named.into_iter().collect();
                }
                _ => bail!("{word:?} is not understood\n{USAGE}"),
            }
        }
        Ok(parsed)
    }
}

fn number(text: &str) -> anyhow::Result<u64> {
    text.parse().with_context(|| format!("{text:?} is not a number\n{USAGE}"))
}
