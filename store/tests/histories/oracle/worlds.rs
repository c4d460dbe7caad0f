//! What a shard may hold, as far as its answers tell. Mostly that is one state. An offer without an answer may count or
//! not, so there are two until the shard is read or is offered it again.
//!
//! What a crash keeps is a prefix of what was taken, and it reaches at least to the last entry of which the answer is a
//! promise of durability: any but a word of a source that was known before. So a state may fall back to those since.

use tributary_proto::{Answer, Entry, OfferError};

use super::state::{Expected, State};
use crate::history::edges::Offer;

/// More than this is the harness's own fault.
const MOST: usize = 2000;

#[derive(Debug)]
pub(crate) struct Worlds {
    worlds: Vec<World>,
    /// The shard's disk failed, and it may be opened anew with its next offer.
    pub(crate) is_shaken: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct World {
    now: State,
    /// Earlier states that a crash may fall back to.
    before: Vec<State>,
}

impl Worlds {
    pub(crate) fn new() -> Self {
        Worlds { worlds: vec![World::default()], is_shaken: false }
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &State> {
        self.worlds.iter().map(|world| &world.now)
    }

    /// Some state that the shard may be in, to draw questions from.
    pub(crate) fn likely(&self) -> &State {
        &self.worlds[0].now
    }

    pub(crate) fn is_doubtful(&self) -> bool {
        self.worlds.len() > 1
    }

    /// Keeps the states that agree with something seen; `false` if none does.
    pub(crate) fn keep(&mut self, agrees: impl Fn(&State) -> bool) -> bool {
        if !self.states().any(&agrees) {
            return false;
        }
        self.worlds.retain(|world| agrees(&world.now));
        true
    }

    pub(crate) fn answered(
        &mut self,
        offer: &Offer,
        answer: Result<Answer, OfferError>,
    ) -> Result<(), String> {
        if self.is_shaken {
            self.fall_back();
        }
        match answer {
            Err(OfferError::Unavailable { .. }) => self.doubt(offer),
            Ok(answer) => self.believe(offer, seen(answer))?,
            Err(OfferError::Malformed { .. }) => self.believe(offer, Expected::Malformed)?,
        }
        self.tidy()
    }

    /// The shard ended before it answered, and so it answered nothing that came later.
    pub(crate) fn cut_off(&mut self, offer: &Offer) {
        for world in &mut self.worlds {
            if world.now.expect(offer) == Expected::Taken {
                world.before.push(world.now.clone());
                world.now.take(offer);
            }
        }
    }

    pub(crate) fn crashed(&mut self) -> Result<(), String> {
        self.fall_back();
        for world in &mut self.worlds {
            world.before.clear();
        }
        self.is_shaken = false;
        self.tidy()
    }

    /// A stop in peace makes everything durable, if the disk lets it. If not, what is found then may still be lost.
    pub(crate) fn restarted(&mut self, was_well: bool) -> Result<(), String> {
        if self.is_shaken || !was_well {
            self.fall_back();
        } else {
            self.worlds.iter_mut().for_each(|world| world.before.clear());
        }
        self.is_shaken = false;
        self.tidy()
    }

    fn doubt(&mut self, offer: &Offer) {
        let mut taken = Vec::new();
        for world in &self.worlds {
            if world.now.expect(offer) == Expected::Taken {
                let mut other = world.clone();
                other.before.push(world.now.clone());
                other.now.take(offer);
                taken.push(other);
            }
        }
        self.worlds.extend(taken);
        self.is_shaken = true;
    }

    fn believe(&mut self, offer: &Offer, seen: Expected) -> Result<(), String> {
        if !self.keep(|state| state.expect(offer) == seen) {
            let expected: Vec<_> = self.states().map(|state| state.expect(offer)).collect();
            return Err(format!(
                "{offer} was answered {seen:?}, and expected is one of {expected:?}"
            ));
        }
        let is_word = matches!(offer.entry, Entry::Sealed { .. });
        for world in &mut self.worlds {
            let is_known_word = is_word && world.now.knows(offer.entry.source());
            match seen {
                Expected::Taken if is_known_word => world.before.push(world.now.clone()),
                Expected::Taken => world.before.clear(),
                // What it was told about stays; words since may go.
                Expected::Answered(_) if !is_word => {
                    world.before.retain(|state| state.expect(offer) == seen);
                }
                Expected::Answered(_) | Expected::Malformed => {}
            }
            if seen == Expected::Taken {
                world.now.take(offer);
            }
        }
        self.is_shaken &= is_word || seen == Expected::Malformed;
        Ok(())
    }

    /// What is there may be any of the states before, from now on.
    fn fall_back(&mut self) {
        let mut fallen = Vec::new();
        for world in &self.worlds {
            for (at, state) in world.before.iter().enumerate() {
                fallen.push(World { now: state.clone(), before: world.before[..at].to_vec() });
            }
        }
        self.worlds.extend(fallen);
    }

    fn tidy(&mut self) -> Result<(), String> {
        let mut kept = Vec::<World>::new();
        for world in self.worlds.drain(..) {
            if !kept.contains(&world) {
                kept.push(world);
            }
        }
        self.worlds = kept;
        let worlds = self.worlds.len();
        if worlds > MOST {
            Err(format!("the harness lost its way: {worlds} worlds"))
        } else {
            Ok(())
        }
    }
}

fn seen(answer: Answer) -> Expected {
    if answer == Answer::Applied { Expected::Taken } else { Expected::Answered(answer) }
}
