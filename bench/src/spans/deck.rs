//! Cards drawn in shuffled order; when all are drawn they are shuffled again. So each comes equally often,
//! soon, and not in a pattern that a branch predictor learns.

use crate::rng::Rng;

pub(super) struct Deck {
    cards: Vec<u32>,
    drawn: usize,
}

impl Deck {
    pub(super) fn of(size: usize) -> Self {
        let cards: Vec<u32> = (0..).take(size).collect();
        Deck { drawn: cards.len(), cards }
    }

    pub(super) fn draw(&mut self, rng: &mut Rng) -> usize {
        if self.drawn == self.cards.len() {
            shuffle(&mut self.cards, rng);
            self.drawn = 0;
        }
        self.drawn += 1;
        self.cards[self.drawn - 1] as usize
    }
}

pub(super) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.below(last + 1));
    }
}
